"""Sketches as users have them: the examples of Debian's arduino package, unchanged, on the simulated chip."""

from __future__ import annotations

from pathlib import Path

import pytest

from serial2iot.emulator.firmware import BOARD_LED, FirmwareBoard
from tests.firmware_parts import need_toolchain, stock_examples
from tests.serial_line import SerialLine


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_toolchain()
    return tmp_path_factory.mktemp("boards")


@pytest.fixture
def example(tmp_path: Path, cache: Path):
    def board(name: str) -> FirmwareBoard:
        sketch = stock_examples() / name / f"{Path(name).name}.ino"
        return FirmwareBoard(tmp_path / "ttyACM0", sketch, cache=cache)

    return board


@pytest.mark.parametrize(
    ("name", "at_2500_mv", "at_5000_mv"),
    [
        ("01.Basics/AnalogReadSerial", "511", "1023"),
        ("01.Basics/ReadAnalogVoltage", "2.50", "5.00"),
        ("04.Communication/Graph", "511", "1023"),
    ],
)
async def test_analog_examples(example, name: str, at_2500_mv: str, at_5000_mv: str) -> None:
    async with example(name) as board:
        with SerialLine(board.link) as line:
            await board.set_adc(0, 2500)
            assert set(await line.until(at_2500_mv)) <= {"0", "0.00", at_2500_mv}
            await board.set_adc(0, 5000)
            assert set(await line.until(at_5000_mv)) <= {at_2500_mv, at_5000_mv}
            assert set(await line.lines(10)) == {at_5000_mv}


async def test_digital_read_serial(example) -> None:
    async with example("01.Basics/DigitalReadSerial") as board:
        with SerialLine(board.link) as line:
            await board.set_pin("D2", True)
            await line.until("1")
            await board.set_pin("D2", False)
            assert set(await line.until("0")) <= {"0", "1"}
            assert set(await line.lines(10)) == {"0"}


async def test_ascii_table(example) -> None:
    async with example("04.Communication/ASCIITable") as board:
        with SerialLine(board.link) as line:
            assert await line.line() == "ASCII Table ~ Character Map"
            expected = [f"{n:c}, dec: {n}, hex: {n:X}, oct: {n:o}, bin: {n:b}" for n in range(33, 45)]
            assert await line.lines(12) == expected


async def test_physical_pixel(example) -> None:
    async with example("04.Communication/PhysicalPixel") as board:
        with SerialLine(board.link) as line:
            for character, lit in ((b"H", True), (b"x", True), (b"L", False)):
                await line.say(character)
                for _ in range(200):  # it answers nothing: 1 ms on the wire, then it is done
                    if await board.pin(BOARD_LED) == lit:
                        break
                assert await board.pin(BOARD_LED) == lit


async def test_serial_call_response(example) -> None:
    """It calls a function before it is defined: the prototype is ours to add, as the Arduino IDE does."""
    async with example("04.Communication/SerialCallResponse") as board:
        await board.set_adc(0, 5000)
        await board.set_adc(1, 2500)
        await board.set_pin("D2", True)
        with SerialLine(board.link) as line:
            assert await line.bytes(1) == b"A", "it calls until somebody answers"
            await line.say(b"!")
            while (first := await line.bytes(1)) == b"A":
                pass
            assert first + await line.bytes(2) == bytes([255, 127, 255])
