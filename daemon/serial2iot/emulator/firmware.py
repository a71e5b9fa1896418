"""A board with real firmware: a sketch, compiled, on a simulated ATmega328P whose serial port is a pty.

The chip runs in a program of its own (avr_board.c, which says what is true to life and how it is spoken to);
this is the handle to it. `SimulatedArduino` has the same surface where the two can have it in common.

The program never outlives us: it ends with its stdin, which closes when we close it or die.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from serial2iot.emulator.debian import default_cache
from serial2iot.emulator.device_link import place_link, remove_link
from serial2iot.emulator.toolchain import build_board, build_sketch
from serial2iot.errors import EmulatorError

BOARD_LED = "B5"
"""The pin of the LED on an Uno's board (Arduino pin 13), which the example sketch lights for `LED on`."""
BLUE_LED = "B1"
"""Arduino pin 9, for `LED blue`."""

_ANSWER_S = 5.0  # it answers within milliseconds, also on a busy machine
_END_S = 2.0


class FirmwareCounts(NamedTuple):
    """Bytes that went out, and bytes that were lost because nobody read: there was no room for them."""

    bytes: int
    lost_bytes: int


def example_sketch() -> Path:
    """The project's own sketch. Raises EmulatorError in an installed package: only a checkout has it."""
    sketch = Path(__file__).parents[3] / "config/examples/arduino/serial2iot/serial2iot.ino"
    if not sketch.is_file():
        raise EmulatorError(
            "the example sketch is not part of an installed package",
            hint="give the path of a sketch, or run this from a checkout of serial2iot",
        )
    return sketch


class FirmwareBoard:
    """A board at `link` that runs `sketch` (an .ino file; by default the example) while its context lasts.

    Entering compiles what is not in `cache` yet. Raises EmulatorError, also from every method once the
    simulated chip has died. Pins go by the chip's names: an Uno's pins 0 to 7 are D0 to D7, its 8 to 13 are
    B0 to B5, its A0 to A5 are C0 to C5.
    """

    def __init__(self, link: Path, sketch: Path | None = None, *, cache: Path | None = None) -> None:
        self.link = link
        self._sketch = sketch
        self._cache = cache or default_cache() / "boards"
        self._process: asyncio.subprocess.Process | None = None
        self._device = ""
        self._asked = 0
        self._last_words = ""
        self._one_at_a_time = asyncio.Lock()

    async def __aenter__(self) -> Self:
        elf = await asyncio.to_thread(build_sketch, self._sketch or example_sketch(), self._cache)
        program = await asyncio.to_thread(build_board, self._cache)
        pipe = asyncio.subprocess.PIPE
        # A process group of its own: Ctrl-C ends whoever owns the board, and that unplugs it in good order.
        self._process = await asyncio.create_subprocess_exec(
            program, elf, stdin=pipe, stdout=pipe, stderr=pipe, process_group=0
        )
        try:
            await self.plug()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def plugged(self) -> bool:
        """Whether the board has power and its path exists."""
        return bool(self._device)

    async def plug(self) -> None:
        """Power on: a new line at `link`, and the chip starts from reset. EEPROM keeps its content."""
        device = await self._ask("plug")
        try:
            place_link(self.link, device)
        except EmulatorError:
            await self._ask("unplug")
            raise
        self._device = device

    async def unplug(self) -> None:
        """Power off in mid-byte: the line hangs up, the path is gone, no instruction runs."""
        self._take_link_away()
        await self._ask("unplug")

    async def reset(self, *, after_bytes: int = 0) -> None:
        """Press the reset button: now, or as soon as that many bytes of one line are out."""
        await self._ask(f"reset {after_bytes}")

    async def set_adc(self, channel: int, millivolt: int) -> None:
        """Put a voltage (0 to 5000) at an analog input (0 to 7)."""
        await self._ask(f"adc {channel} {millivolt}")

    async def set_pin(self, pin: str, level: bool) -> None:
        """Wire an input to 5 V or to ground."""
        await self._ask(f"drive {pin} {level:d}")

    async def pin(self, pin: str) -> bool:
        """The level of a pin now."""
        return await self._ask(f"pin {pin}") == "1"

    async def counts(self) -> FirmwareCounts:
        """What went out and what was lost since the context was entered."""
        out, lost = (await self._ask("counts")).split()
        return FirmwareCounts(int(out), int(lost))

    async def close(self) -> None:
        """Unplug the board and end its program."""
        self._take_link_away()
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin
        process.stdin.close()
        try:
            async with asyncio.timeout(_END_S):
                await process.wait()
        except TimeoutError:  # stopped, most likely
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _take_link_away(self) -> None:
        remove_link(self.link, self._device)
        self._device = ""

    async def _ask(self, command: str) -> str:
        """Give a command; returns what follows the `ok`."""
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(_ANSWER_S):
                    verdict, _, rest = (await self._exchange(command)).partition(" ")
            except TimeoutError as error:
                raise EmulatorError(f"the simulated board does not answer to {command!r}") from error
        if verdict != "ok":
            raise EmulatorError(f"the simulated board refuses {command!r}: {rest}")
        return rest

    async def _exchange(self, command: str) -> str:
        if self._process is None:
            raise EmulatorError("the simulated board is not running")
        ask, answers, complaints = self._process.stdin, self._process.stdout, self._process.stderr
        assert ask and answers and complaints
        self._asked += 1
        with contextlib.suppress(ConnectionError):  # it died: the empty answer below says so
            ask.write(f"{self._asked} {command}\n".encode())
            await ask.drain()
        # An answer with a lower number belongs to a command whose caller was cancelled.
        while line := (await answers.readline()).decode().rstrip("\n"):
            number, _, answer = line.partition(" ")
            if int(number) == self._asked:
                return answer
        self._last_words += (await complaints.read()).decode(errors="replace").strip()
        raise EmulatorError(f"the simulated board died: {self._last_words or 'without a word'}")
