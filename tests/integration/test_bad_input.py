"""Whatever goes wrong at the edges: said clearly, and nothing before or after it is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemon_process import ROOT
from tests.scene import TELEMETRY, Arrivals, Scene


def serial2iot(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "daemon"), **environment}
    command = [sys.executable, "-m", "serial2iot", *words]
    return subprocess.run(command, capture_output=True, text=True, env=variables, timeout=30, check=False)


async def test_garbage_and_an_endless_line_cost_nothing_around_them(scene: Scene) -> None:
    async with (
        scene.cloud.watch(TELEMETRY) as watch,
        scene.board() as board,
        scene.daemon(scene.config()) as daemon,
    ):
        await daemon.said("port open")
        await board.send_numbered(100)
        await board.send(bytes(range(256)) * 20 + b"\n")
        await board.send_numbered(100, first=101)
        for _ in range(160):
            await board.send(b"x" * 65_536)  # 10 MB without an end
        await board.send(b"\nHello, I am a debug line\n")
        await board.send_numbered(100, first=201)
        arrivals = Arrivals(watch)
        await arrivals.until(300)
        assert [values["n"] for _, _, _, values in arrivals.readings()] == list(range(1, 301))
        line = await daemon.said("too_long")
        assert "size=10485760" in line
        assert await daemon.stop() == 0


async def test_a_device_that_is_not_there_is_waited_for(scene: Scene) -> None:
    async with scene.cloud.watch(TELEMETRY) as watch, scene.daemon(scene.config(layout="single")) as daemon:
        await daemon.heard("READY=1")
        assert "plug it in" in await daemon.said("port absent")
        await daemon.heard("STATUS=connected; 0 readings/s; 0 waiting; arduino: absent")
        async with scene.board() as board:
            await daemon.said("port open")
            await board.send_numbered(1)
            assert b'"n":1' in (await watch.next(10)).payload
            assert await daemon.stop() == 0


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("limits =", "limitz =", "mqtt.limitz: is no key"),
        ("port = ", "port = 99999 #", "mqtt.port"),
        ('layout = "batch"', 'layout = "batch"\ntopic = "$aws/things/x/shadow/update"', "telemetry.topic"),
        ('layout = "batch"', 'layout = "batch"\ntopic = "a/b/c/d/e/f/g/h/i"', "telemetry.topic"),
        ('layout = "batch"', 'layout = "batch"\ntopic = "a/+/c"', "telemetry.topic"),
        ('name = "arduino"', "", "serial"),
        ("[thing]", "[thing", "config.toml:2"),
    ],
)
async def test_a_wrong_configuration_exits_78_and_names_file_line_and_key(
    scene: Scene, before: str, after: str, said: str
) -> None:
    config = scene.config()
    text = config.read_text()
    assert before in text
    config.write_text(text.replace(before, after, 1))
    for command in ("check", "run"):
        done = serial2iot(command, "--config", str(config))
        assert done.returncode == 78, done.stderr
        assert said in done.stderr
        assert f"{config}" in done.stderr
        assert "Traceback" not in done.stderr


async def test_a_key_that_others_can_read_is_refused(scene: Scene, tmp_path: Path) -> None:
    key = tmp_path / "open.key"
    key.write_bytes(scene.cloud.private_key.read_bytes())
    key.chmod(0o644)
    done = serial2iot("run", "--config", str(scene.config(private_key=key)))
    assert done.returncode == 78
    assert f"chmod 600 {key}" in done.stderr
    assert "PRIVATE KEY" not in done.stderr


async def test_an_unknown_environment_variable_is_refused(scene: Scene) -> None:
    done = serial2iot("check", "--config", str(scene.config()), SERIAL2IOT_MQTT__ENDPIONT="x")
    assert done.returncode == 78
    assert "SERIAL2IOT_MQTT__ENDPIONT" in done.stderr


async def test_check_says_what_it_would_do(scene: Scene) -> None:
    done = serial2iot("check", "--config", str(scene.config()))
    assert done.returncode == 0
    for word in ("my/things/RPI/telemetry", "my/things/RPI/update", str(scene.link), "localhost"):
        assert word in done.stdout


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    done = serial2iot("run", "--config", str(tmp_path / "none.toml"))
    assert done.returncode == 78
    assert str(tmp_path / "none.toml") in done.stderr


@pytest.mark.parametrize("command", ["run", "check", "emulator", "demo"])
def test_every_command_has_help(command: str) -> None:
    done = serial2iot(command, "--help")
    assert done.returncode == 0
    assert "usage: serial2iot" in done.stdout
