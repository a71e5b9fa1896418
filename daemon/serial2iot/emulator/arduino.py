"""An Arduino without hardware: what the example sketch says and answers, on a pseudo terminal.

`SimulatedArduino` is the board of the demo and of most tests; `firmware.FirmwareBoard` runs the sketch itself
and has the same surface. Both appear at a path of your choice, as a real board appears at /dev/ttyACM0.

Rules

1. Like a real board, it does not wait for its reader: a line that finds no room is lost, and counted. Only
   `send` and `send_numbered` wait for room, and lose nothing while the board is plugged in.
2. Lines never mix: what is said while a `send` is under way goes out behind it.
3. Unplugging hangs up the line and takes the path away; what was not read by then is gone.
"""

from __future__ import annotations

import asyncio
import os
import select
import tty
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from serial2iot.emulator.device_link import place_link, remove_link
from serial2iot.emulator.sketch import CommandEar, reading_line
from serial2iot.errors import EmulatorError

SUPPLY_MV = 5000  # also the reference of the analog inputs
_OWED_MAX = 1 << 20  # above it, what is said while a send() is under way is lost
_LINES_AT_ONCE = 1000


def numbered_line(n: int) -> bytes:
    """A line by which a test knows whether any is missing, doubled or out of order."""
    return b'{"n":%d}\n' % n


@dataclass(slots=True)
class ArduinoCounts:
    """What went out and what did not, since the object was made. A line counts with its last byte."""

    bytes: int = 0
    lines: int = 0
    lost_bytes: int = 0
    lost_lines: int = 0
    commands: int = 0  # lines that were heard, obeyed or not


class SimulatedArduino:
    """A board at `link` for as long as its context lasts. Belongs to the event loop it was entered in.

    It says a reading every `period_s` seconds (None: none at all), and answers `LED on|off|blue`.
    """

    def __init__(self, link: Path, *, period_s: float | None = 0.1) -> None:
        self.link = link
        self.counts = ArduinoCounts()
        self.led = "off"
        self._period_s = period_s
        self._a0 = 0
        self._master = self._slave = -1
        self._device = ""
        self._times_plugged = 0
        self._ear = CommandEar()
        self._owed = bytearray()  # accepted by send(), not yet taken by the line
        self._nothing_owed = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._booted_at = self._next_at = 0.0

    async def __aenter__(self) -> Self:
        await self.plug()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def plugged(self) -> bool:
        """Whether the board has power and its path exists."""
        return self._master >= 0

    async def plug(self) -> None:
        """Appear at `link` and boot. Raises EmulatorError if that path is taken."""
        if self.plugged:
            raise EmulatorError("the board is plugged in already")
        # The slave is held open: a board that nobody opened is there too, and it shows what is unread.
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._device = os.ttyname(self._slave)
        try:
            place_link(self.link, self._device)
        except EmulatorError:
            self._hang_up()
            raise
        asyncio.get_running_loop().add_reader(self._master, self._hear)
        self._nothing_owed.set()
        self._times_plugged += 1
        self._boot()

    async def unplug(self) -> None:
        """Hang up in the middle of whatever was going on, and take the path away."""
        if not self.plugged:
            return
        loop = asyncio.get_running_loop()
        if self._timer:
            self._timer.cancel()
        loop.remove_reader(self._master)
        loop.remove_writer(self._master)
        remove_link(self.link, self._device)
        self._hang_up()
        self._lose(bytes(self._owed))
        self._owed.clear()
        self._nothing_owed.set()

    async def close(self) -> None:
        """The end of the board."""
        await self.unplug()

    async def reset(self) -> None:
        """Press the reset button: the LED is dark, and the board's time starts again."""
        if not self.plugged:
            raise EmulatorError("the board is not plugged in")
        self._boot()

    async def set_adc(self, channel: int, millivolt: int) -> None:
        """Put a voltage (0 to 5000) at an analog input. The example sketch looks at input 0."""
        if channel == 0:
            self._a0 = millivolt * 1023 // SUPPLY_MV

    def write(self, data: bytes) -> int:
        """Say any bytes at once, without waiting for room. Returns how many went out; the rest is lost."""
        if self._owed:
            taken = len(data) if len(self._owed) < _OWED_MAX else 0
            self._owed += data[:taken]
        else:
            taken = self._put(data)
        self._lose(data[taken:])
        return taken

    async def send(self, data: bytes) -> None:
        """Say bytes as fast as the reader takes them. A cancelled send still goes out: no line is cut.

        Raises EmulatorError when the board is or gets unplugged.
        """
        this_time = self._times_plugged
        if self.plugged:
            self._owed += data
            self._pay()
            await self._nothing_owed.wait()
        if not self.plugged or self._times_plugged != this_time:
            raise EmulatorError("the board was unplugged before all was said")

    async def send_numbered(self, count: int, *, first: int = 1) -> None:
        """Say `numbered_line(first)` and so on, `count` lines, as `send` does."""
        for start in range(first, first + count, _LINES_AT_ONCE):
            end = min(start + _LINES_AT_ONCE, first + count)
            await self.send(b"".join(map(numbered_line, range(start, end))))

    @property
    def all_read(self) -> bool:
        """Whether all that went out was read, or flushed by an open: pyserial's discards what lies there.

        Asked by poll(), which first carries over what the kernel still holds on the way to the reader
        (n_tty_poll in drivers/tty/n_tty.c). FIONREAD does not: right after a write it said 0 in 18 % of
        20,000 tries, poll() in none.
        """
        if self._owed or not self.plugged:
            return False
        unread = select.poll()
        unread.register(self._slave, select.POLLIN)
        return not unread.poll(0)

    async def drained(self) -> None:
        """Wait until all was read (see `all_read`). Give it a deadline; a reader that is gone never reads.

        Raises EmulatorError when the board is or gets unplugged: what was unread by then is gone.
        """
        this_time = self._times_plugged
        while self.plugged and self._times_plugged == this_time:
            if self.all_read:
                return
            await asyncio.sleep(0.002)  # the kernel tells nobody when a line runs dry
        raise EmulatorError("the board was unplugged before all was read")

    def answer(self, command: str | None) -> str:
        """Obey a command and say what the sketch says. A test may put a worse board in its place."""
        if command is None or not command.startswith("LED "):
            return "ERR unknown command"
        value = command.removeprefix("LED ")
        if value not in ("on", "off", "blue"):
            return "ERR LED knows on, off and blue"
        self.led = value
        return f"OK LED {value}"

    def _boot(self) -> None:
        self.led = "off"
        self._ear = CommandEar()
        if self._timer:
            self._timer.cancel()
        self._booted_at = self._next_at = asyncio.get_running_loop().time()
        if self._period_s is not None:
            self._next_at += self._period_s
            self._timer = asyncio.get_running_loop().call_at(self._next_at, self._say_readings)

    def _say_readings(self) -> None:
        assert self._period_s is not None
        loop = asyncio.get_running_loop()
        while self._next_at <= loop.time():  # more than one, if the period is shorter than the loop is quick
            self.write(reading_line(round((self._next_at - self._booted_at) * 1000), self._a0))
            self._next_at += self._period_s
        self._timer = loop.call_at(self._next_at, self._say_readings)

    def _hear(self) -> None:
        for command in self._ear.feed(os.read(self._master, 4096)):
            self.counts.commands += 1
            self.write(self.answer(command).encode() + b"\r\n")

    def _put(self, data: bytes) -> int:
        """Hand bytes to the line; returns how many it had room for."""
        if not self.plugged:
            return 0
        try:
            taken = os.write(self._master, data)
        except BlockingIOError:
            return 0
        self.counts.bytes += taken
        self.counts.lines += data.count(b"\n", 0, taken)
        return taken

    def _pay(self) -> None:
        """Hand over what is owed, now and whenever there is room again."""
        del self._owed[: self._put(bytes(self._owed))]
        loop = asyncio.get_running_loop()
        if self._owed:
            self._nothing_owed.clear()
            loop.add_writer(self._master, self._pay)
        else:
            loop.remove_writer(self._master)
            self._nothing_owed.set()

    def _lose(self, data: bytes) -> None:
        self.counts.lost_bytes += len(data)
        self.counts.lost_lines += data.count(b"\n")

    def _hang_up(self) -> None:
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = -1
