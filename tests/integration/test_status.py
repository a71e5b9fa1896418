"""What people and scripts get to know of the running daemon, and what they can hand to it."""

import asyncio
import json
import signal
import stat

from tests.ask import command, report, start, until
from tests.scene import TELEMETRY, Arrivals, Scene


async def test_the_report_has_everything_and_the_numbers_agree(scene: Scene) -> None:
    config = scene.config()
    async with (
        scene.cloud.watch(TELEMETRY) as watch,
        scene.board() as board,
        scene.daemon(config) as daemon,
    ):
        await daemon.said("port open")
        await daemon.said("presence confirmed")
        await board.send(b'{"t":23.4}\r\nHello!\r\n{"t":23.5}\n')
        await Arrivals(watch).until(2)
        seen = await until(config, lambda report: report["books"]["acknowledged"] == 2)
        assert seen["schema"] == 1
        assert seen["link"]["up"] and seen["link"]["client_id"] == "RPI" and seen["link"]["last_loss"] is None
        assert seen["presence"]["shadow_says"] is True
        assert seen["run"] == {"number": 1, "kept_in": "file"}
        [port] = seen["ports"]
        assert (port["name"], port["device"]) == ("arduino", str(scene.link))
        assert (port["topic"], port["standing"]) == (TELEMETRY, "clear")
        assert port["last"]["values"] == {"t": 23.5} and port["last"]["ago_s"] < 20
        assert port["wire"]["bad_frames"] == {"not_understood": 1}
        assert port["books"] | {"received": 2, "waiting": 0, "acknowledged": 2} == port["books"]
        assert seen["books"]["balanced"] is True
        assert seen["spool"]["state"] == "healthy"
        assert seen["certificate"]["days_left"] > 0
        assert seen["last_error"]["event"] == "bad_frame"
        assert seen["needs_restart"] == []

        human = await command("status", "--config", config)
        assert human.status == 0
        assert human.out.startswith("serial2iot   CONNECTED")
        assert max(map(len, human.out.splitlines())) <= 80
        assert '{"t": 23.5}' in human.out
        assert await daemon.stop() == 0


async def test_without_a_broker_it_says_why_and_exits_1(scene: Scene) -> None:
    config = scene.config(port=1)
    async with scene.daemon(config) as daemon:
        await daemon.said("connect failed")
        said = await command("status", "--config", config)
        assert said.status == 1
        assert "NOT CONNECTED" in said.out
        assert "refuses connections on port 1" in said.out
        assert "check mqtt.port" in said.out


async def test_without_a_daemon_every_command_says_so_and_exits_2(scene: Scene) -> None:
    config = scene.config()
    for words in (["status"], ["status", "--json"], ["reload"], ["publish", "arduino", "1"], ["watch"]):
        said = await command(*words, "--config", config)
        assert said.status == 2, words
        assert "the daemon is not running" in said.err
        assert said.out == ""


async def test_a_reading_by_hand_goes_the_way_of_all_readings(scene: Scene) -> None:
    config = scene.config(layout="single")
    async with (
        scene.cloud.watch(TELEMETRY) as watch,
        scene.board() as board,
        scene.daemon(config) as daemon,
    ):
        await daemon.said("port open")
        await board.send(b"1\n")
        assert json.loads((await watch.next(15)).payload)["seq"] == 1
        said = await command("publish", "arduino", "t=23.4", "--config", config)
        assert (said.status, said.err) == (0, "")
        assert "arduino run 1 seq 2" in said.out
        by_hand = json.loads((await watch.next(15)).payload)
        assert (by_hand["port"], by_hand["seq"], by_hand["values"]) == ("arduino", 2, {"t": 23.4})
        await board.send(b"3\n")
        assert json.loads((await watch.next(15)).payload)["seq"] == 3, "the port counts on from there"

        assert (await command("publish", "prompt", "Hello", "World", "--config", config)).status == 0
        other = json.loads((await watch.next(15)).payload)
        assert (other["port"], other["seq"], other["values"]) == ("prompt", 1, {"value": "Hello World"})
        refused = await command("publish", "no/port", "1", "--config", config)
        assert refused.status == 78
        assert "no port name" in refused.err
        assert (await report(config))["books"]["balanced"]


async def test_a_killed_daemon_leaves_no_socket_in_the_way(scene: Scene) -> None:
    config = scene.config()
    path = scene.place / "spool" / "serial2iot.sock"
    for _ in range(2):
        async with scene.daemon(config) as daemon:
            await daemon.heard("READY=1")
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            assert (await report(config))["pid"] == daemon.pid
            daemon.signal(9)
            await daemon.exit()
    assert (await command("status", "--config", config)).status == 2


async def test_under_systemd_the_socket_is_in_its_folder_and_gone_after_a_stop(scene: Scene) -> None:
    config, folder = scene.config(), scene.place / "run"
    folder.mkdir()
    async with scene.daemon(config, RUNTIME_DIRECTORY=str(folder)) as daemon:
        await daemon.heard("READY=1")
        said = await command("status", "--config", config, RUNTIME_DIRECTORY=str(folder))
        assert said.status in (0, 1)
        assert await daemon.stop() == 0
    assert list(folder.iterdir()) == []


async def test_watch_prints_lines_into_a_pipe(scene: Scene) -> None:
    config = scene.config()
    async with scene.board(period_s=0.05), scene.daemon(config) as daemon:
        await daemon.said("port open")
        await until(config, lambda report: report["ports"][0]["last"] and report["link"]["up"])
        said = await command("watch", "--looks", "2", "--config", config)
        assert said.status == 0
        first, *readings = said.out.splitlines()
        assert first == "connected"
        assert len(readings) == 2
        assert all(" arduino " in line and "{" in line for line in readings)


async def test_ctrl_c_ends_watch(scene: Scene) -> None:
    config = scene.config()
    async with scene.daemon(config) as daemon:
        await daemon.heard("READY=1")
        watching = await start("watch", "--config", config)
        assert watching.stdout is not None
        assert (await asyncio.wait_for(watching.stdout.readline(), 20)).endswith(b"connected\n")
        watching.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(watching.wait(), 5) == 130
        assert watching.stderr is not None
        assert await watching.stderr.read() == b""
