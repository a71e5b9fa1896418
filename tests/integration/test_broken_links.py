"""The link breaks in the middle: nothing is missing, doubles have names, and the birth comes first every time."""

import asyncio

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
        await daemon.said("port_open|port open")
        await cloud.until_reported(connected=True, within_s=15)
        sending = asyncio.create_task(board.send_numbered(LINES))
        arrivals = Arrivals(watch)
        for part in (1, 2):
            await arrivals.until(part * 1000)
            await cloud.broker.freeze()  # publishes are in flight, unanswered
            await asyncio.sleep(0.1)
            await cloud.broker.kill()
            await cloud.broker.start()
            async with asyncio.timeout(20):
                while len(cloud.front.connections) <= part:
                    await asyncio.sleep(0.05)
            await cloud.until_reported(connected=True, within_s=20)
        await sending
        await arrivals.until(LINES)
        assert await daemon.stop() == 0
    names = {(port, run, seq) for port, run, seq, _ in arrivals.readings()}
    assert names == {("arduino", run, seq) for _, run, _ in list(names)[:1] for seq in range(1, LINES + 1)}
    firsts = [connection.publishes[0] for connection in cloud.front.connections]
    assert len(firsts) >= 3
    assert set(firsts) == {PRESENCE}, "the birth is the first PUBLISH of every connection"
    print(f"{LINES} readings over {len(firsts)} connections: 0 missing, {arrivals.doubles()} doubles")


async def test_offline_at_start_is_a_state_and_nothing_is_lost(scene: Scene) -> None:
    await scene.cloud.broker.stop()
    async with scene.board() as board, scene.daemon(scene.config()) as daemon:
        await daemon.heard("READY=1")
        line = await daemon.said("connect_failed|connect failed")
        assert "refuses connections on port" in line
        await daemon.said("port_open|port open")
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
        await daemon.said("port_open|port open")
        await board.send_numbered(10)
        await board.drained()
        arrivals = Arrivals(watch)
        await arrivals.until(10)
        await board.unplug()
        await daemon.said("port_lost|port lost")
        await board.plug()
        await daemon.said("waited_s=[1-9]|port_open.*waited|port open.*waited")
        async with asyncio.timeout(15):
            while sum("open" in line and "port" in line for line in daemon.log) < 2:
                await asyncio.sleep(0.05)
        await board.send(b"\n")  # what comes first after an open may be half a line
        await board.send_numbered(10, first=11)
        await arrivals.until(20)
        assert [values["n"] for _, _, _, values in arrivals.readings()] == list(range(1, 21))
        assert await daemon.stop() == 0
