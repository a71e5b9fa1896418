"""What the example sketch (config/examples/arduino) says and hears, for boards that do not run it. Pure."""

from __future__ import annotations

import math

_WAVE_MS = 60_000
_COMMAND_MAX = 31  # the sketch's buffer of 32 bytes, less its NUL


def reading_line(ms: int, a0: int) -> bytes:
    """What the example sketch says `ms` milliseconds after its start; `a0` (0 to 1023) is its input A0."""
    wave = math.sin(ms % _WAVE_MS * math.tau / _WAVE_MS)
    t, h = 23 + 3 * wave, 55 - 10 * wave
    return b'{"t":%.1f,"h":%.0f,"a0":%d,"ms":%d}\r\n' % (t, h, a0, ms)


class CommandEar:
    """Puts heard bytes together to commands, in bounded memory, as the sketch does."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._bad = False

    def feed(self, data: bytes) -> list[str | None]:
        """The commands that ended within `data`; None for one that is too long or no text."""
        heard: list[str | None] = []
        for byte in data:
            if byte == ord("\n"):
                if self._bad or self._line:
                    heard.append(None if self._bad else self._line.decode("ascii"))
                self._line.clear()
                self._bad = False
            elif byte != ord("\r"):
                if ord(" ") <= byte <= ord("~") and len(self._line) < _COMMAND_MAX:
                    self._line.append(byte)
                else:
                    self._bad = True
        return heard
