"""The link breaks in the middle: nothing is missing, doubles have names, and the birth comes first every time."""

from tests.scene import TELEMETRY, Arrivals, Scene

PRESENCE = "my/things/RPI/update"
LINES = 10_000


async def test_the_broker_is_restarted_while_readings_flow(scene: Scene) -> None:
    cloud = scene.cloud
    async with (
        cloud.watch(TELEMETRY) as watch,
        scene.board() as board,
        scene.daemon(scene.config()) as daemon,
    ):
        await daemon.said("port open")
        await cloud.until_reported(connected=True, within_s=15)
        arrivals = Arrivals(watch)
        for part in (0, 1):
            await board.send_numbered(LINES // 4, first=1 + part * LINES // 2)
            await arrivals.until(part * LINES // 2 + LINES // 8)
            await cloud.broker.freeze()  # from here on publishes are in flight, unanswered
            await board.send_numbered(LINES // 4, first=1 + part * LINES // 2 + LINES // 4)
            await board.drained()
            await cloud.broker.kill()
            await cloud.broker.start()
            await daemon.said(" connected ", times=part + 2)
        await arrivals.until(LINES)
        assert await daemon.stop() == 0
    names = {(port, run, seq) for port, run, seq, _ in arrivals.readings()}
    assert names == {("arduino", run, seq) for _, run, _ in list(names)[:1] for seq in range(1, LINES + 1)}
    firsts = [connection.publishes[0] for connection in cloud.front.connections if connection.publishes]
    assert len(firsts) >= 3
    assert set(firsts) == {PRESENCE}, "the birth is the first PUBLISH of every connection"
    print(f"{LINES} readings over {len(firsts)} connections: 0 missing, {arrivals.doubles()} doubles")


async def test_offline_at_start_is_a_state_and_nothing_is_lost(scene: Scene) -> None:
    await scene.cloud.broker.stop()
    async with scene.board() as board, scene.daemon(scene.config()) as daemon:
        await daemon.heard("READY=1")
        line = await daemon.said("connect failed")
        assert "refuses connections on port" in line
        await daemon.said("port open")
        await board.send_numbered(500)
        await board.drained()
        await scene.cloud.broker.start()  # the daemon is back a second later at the earliest
        async with scene.cloud.watch(TELEMETRY) as watch:
            arrivals = Arrivals(watch)
            await arrivals.until(500)
            assert [seq for _, _, seq, _ in arrivals.readings()] == list(range(1, 501))
        assert await daemon.stop() == 0


async def test_a_plug_that_comes_out_and_goes_back_in(scene: Scene) -> None:
    async with (
        scene.cloud.watch(TELEMETRY) as watch,
        scene.board() as board,
        scene.daemon(scene.config(layout="single")) as daemon,
    ):
        await daemon.said("port open")
        await board.send_numbered(10)
        await board.drained()
        arrivals = Arrivals(watch)
        await arrivals.until(10)
        await board.unplug()
        await daemon.said("port lost")
        await board.plug()
        await daemon.said("port open", times=2)
        await board.send(b"\n")  # what comes first after an open may be half a line
        await board.send_numbered(10, first=11)
        await arrivals.until(20)
        assert [values["n"] for _, _, _, values in arrivals.readings()] == list(range(1, 21))
        assert await daemon.stop() == 0
