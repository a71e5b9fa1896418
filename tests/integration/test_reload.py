"""A reload changes what it can, drops nothing, and refuses what is wrong."""

import json
import signal

from serial2iot.emulator.policy import EVERYTHING
from tests.ask import command, report, until
from tests.scene import TELEMETRY, Scene


def serial(*ports: tuple[str, object]) -> str:
    return "".join(f'[[serial]]\nname = "{name}"\ndevice = "{device}"\n' for name, device in ports)


async def test_ports_come_and_go_while_the_connection_stays(scene: Scene) -> None:
    gps = scene.place / "ttyUSB0"
    config = scene.config(layout="single")
    async with (
        scene.cloud.watch("my/things/RPI/#") as watch,
        scene.board() as board,
        scene.board(link=gps) as other,
        scene.daemon(config) as daemon,
    ):
        await daemon.said("arduino: port open")
        await scene.cloud.until_reported(connected=True)
        await board.send(b"1\n")
        await watch.until(lambda arrival: arrival.topic == TELEMETRY, 15)

        scene.config(layout="single", serial=serial(("arduino", scene.link), ("gps", gps)))
        said = await command("reload", "--config", config)
        assert (said.status, said.err) == (0, "")
        assert "port +gps" in said.out
        await daemon.said("gps: port open")
        await other.send(b"7\n")
        arrival = await watch.until(lambda arrival: arrival.topic == TELEMETRY, 15)
        assert json.loads(arrival.payload)["port"] == "gps"

        scene.config(layout="single", serial=serial(("gps", gps)))
        assert "port -arduino" in (await command("reload", "--config", config)).out
        scene.config(layout="single", serial=serial(("gps", gps), ("arduino", scene.link)))
        assert "port +arduino" in (await command("reload", "--config", config)).out
        await daemon.said("arduino: port open", times=2)
        await board.send(b"2\n")
        arrival = await watch.until(lambda arrival: arrival.topic == TELEMETRY, 15)
        again = json.loads(arrival.payload)
        assert (again["port"], again["seq"]) == ("arduino", 2), "a number is never given twice"

        seen = await report(config)
        assert seen["link"]["last_loss"] is None, "the connection stayed"
        assert [line for line in daemon.log if "presence said" in line][1:] == []
        assert await daemon.stop() == 0


async def test_topic_layout_and_log_level_change_as_they_go(scene: Scene) -> None:
    config = scene.config(layout="single")
    async with (
        scene.cloud.watch("my/things/RPI/#") as watch,
        scene.board() as board,
        scene.daemon(config) as daemon,
    ):
        await daemon.said("port open")
        await scene.cloud.until_reported(connected=True)
        scene.cloud.front.policy = EVERYTHING
        scene.config(layout="batch", telemetry='topic = "my/things/RPI/other"\nmax_readings = 2')
        config.write_text(config.read_text().replace('level = "debug"', 'level = "error"'))
        said = await command("reload", "--config", config)
        assert said.status == 0
        assert "telemetry" in said.out
        assert "log level error" in said.out
        await board.send(b"1\n2\n")
        arrival = await watch.until(lambda arrival: arrival.topic == "my/things/RPI/other", 15)
        assert [entry["values"] for entry in json.loads(arrival.payload)["readings"]] == [
            {"value": 1},
            {"value": 2},
        ]
        assert (await report(config))["ports"][0]["topic"] == "my/things/RPI/other"
        lines = len(daemon.log)
        assert await daemon.stop() == 0
        assert daemon.log[lines:] == [], "the level holds"


async def test_a_bad_file_is_refused_and_the_old_one_goes_on(scene: Scene) -> None:
    config = scene.config(layout="single")
    async with scene.cloud.watch(TELEMETRY) as watch, scene.board() as board, scene.daemon(config) as daemon:
        await daemon.said("port open")
        config.write_text(config.read_text().replace('layout = "single"', 'layout = "triple"'))
        said = await command("reload", "--config", config)
        assert said.status == 78
        assert "telemetry.layout" in said.err
        assert f"{config}:" in said.err, "file and line"
        daemon.signal(signal.SIGHUP)
        await daemon.said("reload refused", times=2)
        await board.send(b"1\n")
        assert json.loads((await watch.next(15)).payload)["values"] == {"value": 1}
        assert await daemon.stop() == 0


async def test_what_needs_a_restart_is_named_and_not_done(scene: Scene) -> None:
    config = scene.config()
    async with scene.daemon(config) as daemon:
        await daemon.heard("READY=1")
        text = config.read_text().replace('limits = "none"', 'limits = "none"\nkeep_alive_s = 60')
        config.write_text(text.replace("spool.db", "other.db"))
        daemon.notified.clear()
        said = await command("reload", "--config", config)
        assert said.status == 0
        assert "only a restart changes [mqtt], [buffer]" in said.out
        await daemon.heard("READY=1")
        assert daemon.notified.index("RELOADING=1") < daemon.notified.index("READY=1")
        usec = next(line for line in daemon.notified if line.startswith("MONOTONIC_USEC="))
        assert int(usec.partition("=")[2]) > 0
        seen = await until(config, lambda report: report["needs_restart"])
        assert seen["needs_restart"] == ["mqtt", "buffer"]
        assert seen["link"]["keep_alive_s"] == 30
        assert await daemon.stop() == 0
        assert any(line.startswith("EXTEND_TIMEOUT_USEC=") for line in daemon.notified)
