"""`serial2iot emulator` as a person meets it: a process at a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = """
import argparse, asyncio, sys
from serial2iot.emulator import command
parser = argparse.ArgumentParser()
command.add_arguments(parser)
sys.exit(asyncio.run(command.run(parser.parse_args())))
"""


@contextlib.asynccontextmanager
async def emulator(*arguments: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", COMMAND, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "daemon"), **environment},
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def read_until(process: asyncio.subprocess.Process, pattern: str) -> str:
    """Return what it prints, up to a line that matches."""
    assert process.stdout is not None
    said = ""
    async with asyncio.timeout(10):
        while not re.search(pattern, said):
            line = await process.stdout.readline()
            assert line, f"it ended, having said: {said}"
            said += line.decode()
    return said


def broker_of(process: asyncio.subprocess.Process) -> int:
    """Return the process id of its child."""
    [pid] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(pid)


async def until_dead(pid: int) -> None:
    """Wait until a process that is no child of ours has ended, be it reaped or not."""
    async with asyncio.timeout(5):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            while Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z":
                await asyncio.sleep(0.005)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_tells_what_to_do_and_shows_shadows_until_it_is_stopped(tmp_path: Path, number: int) -> None:
    async with emulator("--directory", str(tmp_path), "--port", "0") as process:
        welcome = await read_until(process, "Ctrl-C")
        for name in (
            "AmazonRootCA1.pem",
            "certs/RPI/device.pem.crt",
            "certs/RPI/private.pem.key",
            "serial2iot.toml",
        ):
            assert str(tmp_path / name) in welcome
            assert (tmp_path / name).is_file()
        assert f"serial2iot run --config {tmp_path}/serial2iot.toml" in welcome
        plain = re.search(r"mosquitto_sub -h 127.0.0.1 -p (\d+)", welcome)
        assert plain
        async with aiomqtt.Client("127.0.0.1", int(plain[1])) as client:
            await client.publish("my/things/RPI/update", b'{"state":{"reported":{"connected":true}}}', 1)
        line = (await read_until(process, "version")).strip().splitlines()[-1]
        assert re.fullmatch(r'\d\d:\d\d:\d\d  RPI  version 1  {"reported": {"connected": true}}', line)
        broker = broker_of(process)
        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), 5) == 0
        assert not Path(f"/proc/{broker}").exists()


async def test_the_configuration_is_ready_and_then_left_alone(tmp_path: Path) -> None:
    configuration = tmp_path / "serial2iot.toml"
    async with emulator("--directory", str(tmp_path), "--port", "0", "--thing", "shed") as process:
        welcome = await read_until(process, "Ctrl-C")
    assert "written now" in welcome
    settings = tomllib.loads(configuration.read_text())
    assert settings["thing"] == {"name": "shed"}
    assert f"localhost:{settings['mqtt']['port']}" in welcome
    assert settings["mqtt"]["certificate"] == str(tmp_path / "certs/shed/device.pem.crt")
    assert settings["buffer"]["path"] == str(tmp_path / "spool.db")
    configuration.write_text("# mine")
    async with emulator("--directory", str(tmp_path), "--port", "0") as process:
        assert "as you left it" in await read_until(process, "Ctrl-C")
    assert configuration.read_text() == "# mine"


async def test_a_configuration_with_another_port_is_pointed_out(tmp_path: Path) -> None:
    (tmp_path / "serial2iot.toml").write_text("[mqtt]\nport = 8883\n")
    async with emulator("--directory", str(tmp_path), "--port", "0") as process:
        assert "it names port 8883, not" in await read_until(process, "Ctrl-C")


async def test_its_broker_dies_with_it_even_by_sigkill(tmp_path: Path) -> None:
    async with emulator("--directory", str(tmp_path), "--port", "0") as process:
        await read_until(process, "Ctrl-C")
        broker = broker_of(process)
        process.kill()
        await until_dead(broker)


async def test_it_ends_with_an_error_when_its_broker_dies(tmp_path: Path) -> None:
    async with emulator("--directory", str(tmp_path), "--port", "0") as process:
        await read_until(process, "Ctrl-C")
        os.kill(broker_of(process), signal.SIGKILL)
        await read_until(process, "EmulatorError: mosquitto ended")
        assert await asyncio.wait_for(process.wait(), 5) == 1


async def test_its_directory_is_where_state_belongs(tmp_path: Path) -> None:
    async with emulator("--port", "0", XDG_STATE_HOME=str(tmp_path)) as process:
        assert str(tmp_path / "serial2iot-emulator/serial2iot.toml") in await read_until(process, "Ctrl-C")
