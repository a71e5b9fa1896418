"""The project's own sketch, compiled and run: what a user's Arduino will do with it."""

from __future__ import annotations

import asyncio
import json
import random
from itertools import pairwise
from pathlib import Path

import pytest

from serial2iot.emulator.arduino import SimulatedArduino
from serial2iot.emulator.firmware import BLUE_LED, BOARD_LED, FirmwareBoard, example_sketch
from serial2iot.emulator.sketch import CommandEar, reading_line
from tests.firmware_parts import need_toolchain
from tests.serial_line import SerialLine


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_toolchain()
    return tmp_path_factory.mktemp("boards")


def board_at(tmp_path: Path, cache: Path, sketch: Path | None = None) -> FirmwareBoard:
    return FirmwareBoard(tmp_path / "ttyACM0", sketch, cache=cache)


async def answer(line: SerialLine) -> str:
    """The next line that is not a reading."""
    while (said := await line.line()).startswith("{"):
        pass
    return said


async def test_ten_readings_a_second_by_its_own_clock(tmp_path: Path, cache: Path) -> None:
    async with board_at(tmp_path, cache) as board:
        await board.set_adc(0, 2500)
        with SerialLine(board.link) as line:
            said = await line.lines(20)
    stamps = [json.loads(reading)["ms"] for reading in said]
    assert stamps[0] in (100, 101)
    assert all(99 <= later - earlier <= 101 for earlier, later in pairwise(stamps))
    assert 1899 <= stamps[-1] - stamps[0] <= 1901, "no drift"


async def test_the_simulated_arduino_says_the_same(tmp_path: Path, cache: Path) -> None:
    async with board_at(tmp_path, cache) as board:
        await board.set_adc(0, 2500)
        with SerialLine(board.link) as line:
            await line.line()
            for said in await line.lines(5):
                real = json.loads(said)
                simulated = json.loads(reading_line(real["ms"], real["a0"]))
                assert list(real) == list(simulated)
                assert real == pytest.approx(simulated, abs=0.11)
                assert real["a0"] == 511


async def test_commands_switch_the_pins_and_are_answered(tmp_path: Path, cache: Path) -> None:
    simulated, ear = SimulatedArduino(tmp_path / "never-plugged"), CommandEar()
    async with board_at(tmp_path, cache) as board:
        with SerialLine(board.link) as line:
            for command, pins in [
                (b"LED on\n", (True, False)),
                (b"LED blue\r\n", (False, True)),
                (b"LED pink\n", (False, True)),
                (b"blue\n", (False, True)),
                (b"LED on\0\n", (False, True)),
                (b"x" * 31 + b"\n", (False, True)),
                (b"x" * 32 + b"\n", (False, True)),
                (b"\n\nLED off\n", (False, False)),
            ]:
                await line.say(command)
                real = await answer(line)
                assert (await board.pin(BOARD_LED), await board.pin(BLUE_LED)) == pins, command
                (heard,) = ear.feed(command)
                assert real == simulated.answer(heard), command


async def test_noise_on_the_wire_does_it_no_harm(tmp_path: Path, cache: Path) -> None:
    noise = random.Random(2341).randbytes(3000).replace(b"\n", b"") + b"LED on" * 50
    async with board_at(tmp_path, cache) as board:
        with SerialLine(board.link) as line:
            await line.say(noise + b"\n")
            assert await answer(line) == "ERR unknown command"
            await line.say(b"LED on\n")
            assert await answer(line) == "OK LED on"
            before, after = [json.loads(said)["ms"] for said in await line.lines(2)]
            assert 99 <= after - before <= 101
            assert before >= 300, "it never started again"


async def test_it_goes_on_when_millis_starts_again_from_0(tmp_path: Path, cache: Path) -> None:
    """After 49.7 days; here the counter of the Arduino core starts 450 ms before that."""
    sketch = tmp_path / "rollover.ino"
    old = 'extern "C" { extern volatile unsigned long timer0_millis; }\n'
    old += "struct Old { Old() { timer0_millis = 0UL - 450UL; } } old;\n"
    sketch.write_text(example_sketch().read_text() + old)
    async with board_at(tmp_path, cache, sketch) as board:
        with SerialLine(board.link) as line:
            stamps = [json.loads(said)["ms"] for said in await line.lines(10)]
    assert stamps[0] > 2**32 - 400
    assert stamps[-1] < 1000
    assert all(99 <= (later - earlier) % 2**32 <= 101 for earlier, later in pairwise(stamps))


async def test_a_reset_in_mid_line_cuts_it_there(tmp_path: Path, cache: Path) -> None:
    async with board_at(tmp_path, cache) as board:
        with SerialLine(board.link) as line:
            await line.say(b"LED on\n")
            assert await answer(line) == "OK LED on"
            whole = (await line.lines(2))[-1]
            await board.reset(after_bytes=10)
            while (cut := await line.line()).count("{") == 1:
                whole = cut
            assert cut.startswith('{"t":')
            assert cut[10:].startswith('{"t":'), "ten bytes of one line, then the first one after the start"
            assert json.loads(cut[10:])["ms"] < 110 < json.loads(whole)["ms"]
            assert not await board.pin(BOARD_LED)
            assert json.loads(await line.line())["ms"] < 210


async def test_unplugged_and_plugged_in_again(tmp_path: Path, cache: Path) -> None:
    async with board_at(tmp_path, cache) as board:
        with SerialLine(board.link) as line:
            await line.lines(3)
            await board.unplug()
            await asyncio.wait_for(line.hung_up.wait(), 5)
        assert not board.plugged
        assert not board.link.is_symlink()
        await board.plug()
        assert board.plugged
        with SerialLine(board.link) as line:
            assert json.loads(await line.line())["ms"] < 110, "its time starts again"
    assert not board.link.is_symlink()
