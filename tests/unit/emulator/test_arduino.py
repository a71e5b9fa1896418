"""The simulated Arduino: says what the sketch says, loses what a real line loses, and can be unplugged."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial2iot.emulator.arduino import SimulatedArduino, numbered_line
from serial2iot.emulator.sketch import CommandEar, reading_line
from serial2iot.errors import EmulatorError
from tests.leaks import open_descriptors
from tests.serial_line import SerialLine


def quiet(tmp_path: Path) -> SimulatedArduino:
    return SimulatedArduino(tmp_path / "ttyACM0", period_s=None)


# ---- what it says


@pytest.mark.parametrize("ms", [0, 100, 15_000, 45_000, 59_999, 60_000, 2**32 - 1])
def test_a_reading_is_plausible_at_any_time(ms: int) -> None:
    reading = json.loads(reading_line(ms, 512))
    assert reading == {"t": reading["t"], "h": reading["h"], "a0": 512, "ms": ms}
    assert 20 <= reading["t"] <= 26
    assert 45 <= reading["h"] <= 65


def test_readings_move() -> None:
    assert len({reading_line(ms, 0).split(b',"ms"')[0] for ms in range(0, 60_000, 100)}) > 60


async def test_readings_come_at_their_period_by_the_boards_own_clock(tmp_path: Path) -> None:
    async with SimulatedArduino(tmp_path / "tty", period_s=0.01) as board:
        with SerialLine(board.link) as line:
            stamps = [json.loads(said)["ms"] for said in await line.lines(30)]
    assert stamps == list(range(10, 310, 10))


async def test_the_voltage_at_a0_is_in_the_readings(tmp_path: Path) -> None:
    async with SimulatedArduino(tmp_path / "tty", period_s=0.01) as board:
        with SerialLine(board.link) as line:
            assert json.loads(await line.line())["a0"] == 0
            await board.set_adc(0, 2500)
            await board.set_adc(1, 5000)
            async with asyncio.timeout(5):
                while json.loads(await line.line())["a0"] != 511:
                    pass


# ---- what it hears


async def test_it_switches_the_led_and_answers(tmp_path: Path) -> None:
    async with quiet(tmp_path) as board:
        with SerialLine(board.link) as line:
            for command, answer, led in [
                (b"LED on\n", "OK LED on", "on"),
                (b"LED blue\r\n", "OK LED blue", "blue"),
                (b"LED pink\n", "ERR LED knows on, off and blue", "blue"),
                (b"led off\n", "ERR unknown command", "blue"),
                (b"\n\r\nLED off\n", "OK LED off", "off"),
                (b"LED on" + b"x" * 5000 + b"\n", "ERR unknown command", "off"),
                (b"LED on\0\n", "ERR unknown command", "off"),
            ]:
                await line.say(command)
                assert (await line.line(), board.led) == (answer, led)
    assert board.counts.commands == 7


async def test_a_worse_board_can_be_put_in_its_place(tmp_path: Path) -> None:
    class Sulking(SimulatedArduino):
        def answer(self, command: str | None) -> str:
            return "ERR not today"

    async with Sulking(tmp_path / "tty", period_s=None) as board:
        with SerialLine(board.link) as line:
            await line.say(b"LED on\n")
            assert await line.line() == "ERR not today"
            assert board.led == "off"


@given(st.binary(max_size=200), st.integers(1, 7))
def test_what_is_heard_does_not_depend_on_how_it_arrives(data: bytes, size: int) -> None:
    whole, pieces = CommandEar(), CommandEar()
    heard = [c for at in range(0, len(data), size) for c in pieces.feed(data[at : at + size])]
    assert heard == whole.feed(data)
    assert all(c is None or (0 < len(c) <= 31 and c.isprintable()) for c in heard)


# ---- what is lost, and what is not


async def test_what_finds_no_room_is_lost_and_counted(tmp_path: Path) -> None:
    said = b"x" * 99 + b"\n"
    async with quiet(tmp_path) as board:
        taken = sum(board.write(said) for _ in range(10_000))
        counts = board.counts
        assert 4096 <= taken == counts.bytes < 1_000_000
        assert counts.bytes + counts.lost_bytes == 1_000_000
        assert counts.lines + counts.lost_lines == 10_000
        with SerialLine(board.link) as line:
            assert (await line.bytes(taken)).startswith(said * 40)
            assert board.write(b"\nagain\n") == 7, "there is room again"
            assert await line.bytes(7) == b"\nagain\n"


async def test_numbered_lines_wait_for_a_slow_reader(tmp_path: Path) -> None:
    count = 40_000
    async with quiet(tmp_path) as board, asyncio.TaskGroup() as group:
        fd = os.open(board.link, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        sending = group.create_task(board.send_numbered(count))
        got = bytearray()
        async with asyncio.timeout(20):
            while got.count(b"\n", -20) == 0 or not got.endswith(numbered_line(count)):
                await asyncio.sleep(0)
                try:
                    got += os.read(fd, 777)
                except BlockingIOError:
                    continue
        await sending
        os.close(fd)
    assert got == b"".join(map(numbered_line, range(1, count + 1)))
    assert (board.counts.lines, board.counts.lost_lines, board.counts.lost_bytes) == (count, 0, 0)


async def test_numbered_lines_block_while_nobody_reads(tmp_path: Path) -> None:
    async with quiet(tmp_path) as board:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await board.send_numbered(1_000_000)
        assert 0 < board.counts.bytes < 200_000, "memory stays bounded"


async def test_a_cancelled_send_cuts_no_line_and_nothing_mixes_with_it(tmp_path: Path) -> None:
    long = b"a" * 300_000 + b"\n"
    async with quiet(tmp_path) as board:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await board.send(long)
        board.write(b"short\n")
        with SerialLine(board.link) as line:
            assert await line.bytes(len(long)) == long
            assert await line.line() == "short"
    assert board.counts.lines == 2


async def test_what_waits_behind_a_send_is_bounded(tmp_path: Path) -> None:
    async with quiet(tmp_path) as board:
        sending = asyncio.create_task(board.send(b"a" * 200_000))
        await asyncio.sleep(0)
        for _ in range(3000):
            board.write(b"b" * 1000)
        assert board.counts.lost_bytes > 1_900_000
        await board.unplug()
        with pytest.raises(EmulatorError, match="unplugged"):
            await sending


async def test_a_send_that_was_cut_off_says_so_even_if_the_board_is_back(tmp_path: Path) -> None:
    async with quiet(tmp_path) as board:
        waiting = [asyncio.create_task(board.send_numbered(100_000)), asyncio.create_task(board.drained())]
        await asyncio.sleep(0)
        await board.unplug()
        await board.plug()  # most likely on a pty of the same number
        for each in waiting:
            with pytest.raises(EmulatorError, match="unplugged"):
                await asyncio.wait_for(each, 5)


async def test_all_read_is_never_claimed_too_early(tmp_path: Path) -> None:
    async with quiet(tmp_path) as board:
        fd = os.open(board.link, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        assert board.all_read
        for _ in range(2000):  # the kernel needs a moment to carry bytes over: then FIONREAD would say 0
            board.write(b"one line\n")
            assert not board.all_read
            async with asyncio.timeout(5):
                assert os.read(fd, 100) == b"one line\n"
                await board.drained()
        os.close(fd)


async def test_drained_waits_for_the_last_byte(tmp_path: Path) -> None:
    async with quiet(tmp_path) as board:
        await board.send_numbered(1000)
        fd = os.open(board.link, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        drained = asyncio.create_task(board.drained())
        left = board.counts.bytes
        async with asyncio.timeout(10):
            while left > 1:
                left -= len(os.read(fd, min(left - 1, 1000)))
                await asyncio.sleep(0)
            await asyncio.sleep(0.01)
            assert not drained.done()
            os.read(fd, 1)
            await drained
        os.close(fd)


# ---- power


async def test_unplugging_hangs_up_and_plugging_in_starts_again(tmp_path: Path) -> None:
    async with SimulatedArduino(tmp_path / "tty", period_s=0.01) as board:
        with SerialLine(board.link) as line:
            await line.say(b"LED on\n")
            await line.until("OK LED on")
            await board.unplug()
            await asyncio.wait_for(line.hung_up.wait(), 5)
        assert not board.plugged
        assert not os.path.lexists(board.link)
        assert board.write(b"into the void\n") == 0
        with pytest.raises(EmulatorError, match="unplugged"):
            await board.send(b"into the void\n")
        with pytest.raises(EmulatorError, match="unplugged"):
            await board.drained()
        with pytest.raises(EmulatorError, match="not plugged in"):
            await board.reset()
        await board.unplug()

        await board.plug()
        with SerialLine(board.link) as line:
            assert json.loads(await line.line())["ms"] == 10, "its time starts again"
        assert board.led == "off"
        with pytest.raises(EmulatorError, match="already"):
            await board.plug()


async def test_a_reset_starts_the_board_again_on_the_same_line(tmp_path: Path) -> None:
    async with SimulatedArduino(tmp_path / "tty", period_s=0.01) as board:
        with SerialLine(board.link) as line:
            await line.say(b"LED on\n")
            await line.until("OK LED on")
            await board.reset()
            async with asyncio.timeout(5):
                while json.loads(await line.line())["ms"] != 10:
                    pass
        assert board.led == "off"


async def test_a_thousand_plugs_leave_no_descriptor_behind(tmp_path: Path) -> None:
    async with SimulatedArduino(tmp_path / "tty", period_s=0.001) as board:
        level = open_descriptors()
        for _ in range(1000):
            await board.unplug()
            await board.plug()
        assert open_descriptors() == level
    assert not list(tmp_path.iterdir())


# ---- where it appears


@pytest.mark.parametrize("make", ["file", "link", "directory"])
async def test_it_takes_nobodys_place(tmp_path: Path, make: str) -> None:
    board = quiet(tmp_path)
    if make == "file":
        board.link.write_text("mine")
    elif make == "link":
        board.link.symlink_to("/dev/null")
    else:
        board.link.mkdir()
    before = os.lstat(board.link)
    level = open_descriptors()
    with pytest.raises(EmulatorError, match="not a simulated board") as caught:
        await board.plug()
    assert caught.value.hint
    assert os.lstat(board.link).st_ino == before.st_ino
    assert open_descriptors() == level


async def test_it_replaces_what_an_earlier_board_left_behind(tmp_path: Path) -> None:
    board = quiet(tmp_path)
    board.link.symlink_to("/dev/pts/99999")
    async with board:
        assert board.link.is_char_device()


async def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    board = SimulatedArduino(tmp_path / "nowhere" / "tty")
    with pytest.raises(EmulatorError, match="No such file") as caught:
        await board.plug()
    assert "nowhere" in caught.value.hint


async def test_it_leaves_the_path_to_a_board_that_took_it(tmp_path: Path) -> None:
    first, second = quiet(tmp_path), quiet(tmp_path)
    async with first, second:
        await first.unplug()
        assert second.link.is_char_device()
