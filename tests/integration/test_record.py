"""`record` and `replay` as commands: what came over the wire comes again, byte for byte, and is decoded the same."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from serial2iot.emulator.arduino import SimulatedArduino
from serial2iot.port.recording import Chunk, Event, read
from tests.daemon_process import ROOT
from tests.scene import TELEMETRY, Arrivals, Scene

WITHIN_S = 20.0


class Command:
    """`serial2iot ...` as a process; what it says is read line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        assert self.process.stdout
        async with asyncio.timeout(WITHIN_S):
            return (await self.process.stdout.readline()).decode().rstrip()

    async def rest(self) -> str:
        async with asyncio.timeout(WITHIN_S):
            out, _ = await self.process.communicate()
        return out.decode()


@contextlib.asynccontextmanager
async def command(*arguments: object) -> AsyncIterator[Command]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "serial2iot", *map(str, arguments)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PYTHONPATH": str(ROOT / "daemon"), "PATH": "/usr/bin:/bin"},
    )
    try:
        yield Command(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def told(*arguments: object) -> tuple[int, str]:
    """Exit status, and all that it said."""
    async with command(*arguments) as ran:
        out = await ran.rest()
        assert ran.process.returncode is not None
        return ran.process.returncode, out


def recorded(path: Path) -> bytes:
    return b"".join(entry.data for entry in read(path) if isinstance(entry, Chunk))


async def test_a_recording_is_what_came_and_survives_an_unplugged_board(tmp_path: Path) -> None:
    file = tmp_path / "field.jsonl"
    async with (
        SimulatedArduino(tmp_path / "ttyACM0", period_s=None) as board,
        command("record", board.link, file) as recording,
    ):
        assert f"recording {board.link} at 115200 baud" in await recording.line()
        await board.send(bytes(range(256)) + b'\n{"t":23.4}\r\n{"t"')
        await board.drained()
        await board.unplug()
        async with asyncio.timeout(WITHIN_S):
            while not any(isinstance(entry, Event) and entry.what == "lost" for entry in read(file)):
                await asyncio.sleep(0.05)
            await board.plug()
            while [entry.what for entry in read(file) if isinstance(entry, Event)][-1] != "open":
                await asyncio.sleep(0.05)
        await board.send(b"end\n")
        await board.drained()
        async with asyncio.timeout(WITHIN_S):
            while not recorded(file).endswith(b"end\n"):
                await asyncio.sleep(0.05)
        recording.process.send_signal(signal.SIGINT)
        assert "bytes" in await recording.rest()
        assert recording.process.returncode == 0
    assert recorded(file) == bytes(range(256)) + b'\n{"t":23.4}\r\n{"t"' + b"end\n"
    assert [entry.what for entry in read(file) if isinstance(entry, Event)] == ["open", "lost", "open"]
    times = [entry.at for entry in read(file)]
    assert times == sorted(times)

    status, out = await told("replay", file)
    assert status == 0
    assert '{"t":23.4}' in out
    assert "! cut_off, 4 bytes: b'{\"t\"'" in out, "the line that the plug cut"
    assert "-- lost --" in out


async def test_for_so_many_seconds_and_never_over_another_file(tmp_path: Path) -> None:
    file = tmp_path / "field.jsonl"
    async with SimulatedArduino(tmp_path / "ttyACM0", period_s=0.05) as board:
        status, _ = await told("record", board.link, file, "--seconds", "0.3")
        assert status == 0
        assert b'"t":' in recorded(file)
        status, out = await told("record", board.link, file, "--seconds", "0.3")
        assert status == 1
        assert "give a new file" in out
    status, out = await told("record", tmp_path / "none", tmp_path / "other.jsonl")
    assert status == 1
    assert "the device is not there" in out


async def test_while_the_daemon_has_the_port_it_says_how_to_stop_it(scene: Scene) -> None:
    async with scene.board(), scene.daemon(scene.config()) as daemon:
        await daemon.said("port open")
        status, out = await told("record", "arduino", scene.place / "f.jsonl", "--config", daemon.config)
        assert status == 1
        assert f"is in use by serial2iot (pid {daemon.pid})" in out
        assert "sudo systemctl stop serial2iot" in out
        assert await daemon.stop() == 0


FIELD = """\
{"recording": 1, "device": "/dev/ttyUSB0", "baud": 9600, "began": "2026-11-23T04:12:07+00:00"}
{"at": 0.0, "event": "open", "fresh": false}
{"at": 0.1, "bytes": ".4;55\\n23.5;56\\n"}
{"at": 0.2, "bytes": "23.6;5"}
{"at": 0.3, "bytes": "7\\nERROR \\u00ff\\n23.7;58\\n"}
"""


async def test_a_recording_is_decoded_as_the_configuration_has_it(scene: Scene) -> None:
    file = scene.place / "field.jsonl"
    file.write_text(FIELD)
    serial = (
        '[[serial]]\nname = "cellar"\ndevice = "/dev/ttyUSB0"\n'
        'decode = "csv"\nseparator = ";"\nnames = ["t", "h"]\n'
        '[[serial]]\nname = "other"\ndevice = "/dev/ttyUSB1"\n'
    )
    config = scene.config(serial=serial)
    status, out = await told("replay", file, "--config", config, "--port", "cellar")
    assert status == 0
    assert out.splitlines() == [
        "     0.000  -- open --",
        '     0.100  {"t":23.5,"h":56}',
        "     0.100  ! partial, 5 bytes: b'.4;55'",
        '     0.300  {"t":23.6,"h":57}',
        '     0.300  {"t":23.7,"h":58}',
        "     0.300  ! not_utf8, 7 bytes: b'ERROR \\xff'",
        "38 bytes, 0 readings filtered, 0 numbers made null",
        "1 bad frames: not_utf8",
        "1 bad frames: partial",
    ]
    status, out = await told("replay", file, "--config", config)
    assert status == 1
    assert "its ports: cellar, other" in out


async def test_a_recording_on_a_pty_through_the_whole_daemon(scene: Scene) -> None:
    file = scene.place / "field.jsonl"
    lines = "".join(
        f'{{"at": {n / 100}, "bytes": "{{\\"n\\":{n}"}}\n{{"at": {n / 100}, "bytes": "}}\\n"}}\n'
        for n in range(1, 51)
    )
    file.write_text(FIELD.splitlines()[0] + "\n" + lines)
    async with (
        scene.cloud.watch(TELEMETRY) as watch,
        command("replay", file, "--pty", scene.link, "--speed", "10") as replay,
    ):
        assert "waiting for somebody" in await replay.line()
        async with scene.daemon(scene.config()) as daemon:
            arrivals = Arrivals(watch)
            await arrivals.until(50)
            assert [values for _, _, _, values in arrivals.readings()] == [{"n": n} for n in range(1, 51)]
            await replay.rest()
            assert replay.process.returncode == 0
            assert await daemon.stop() == 0
