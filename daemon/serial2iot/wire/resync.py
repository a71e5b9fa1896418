"""Frames that say where they begin or how long they are: fixed size, length prefix, start and end markers.

One loop serves the three; a `Measure` tells how long the frame at a place is. What turns out to be no frame
is given up one byte at a time, so that a frame hidden in it is found: a byte lost on the wire costs the
frame it was in, never the one after.

Each stretch of bytes that belong to no frame is one `BadFrame`, named after what was wrong with its
beginning; it is closed by the next frame, or by the next bytes that look like the start of one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from serial2iot.wire.frame import FRESH_AFTER_S, HEAD_BYTES, BadFrame, Opener, Outcome
from serial2iot.wire.options import LengthOptions

Measure: TypeAlias = "Callable[[bytearray, int], int | str]"
"""The size of the frame at a place (more than there is: wait for more), or the reason why there is none."""


class ResyncFramer:
    """Looks for `start` (empty: anywhere), measures, and has `opener` prove what was cut out.

    Bytes of `filler` that follow a frame are nothing: the line ends that a board prints between its frames.
    """

    def __init__(self, start: bytes, measure: Measure, opener: Opener, filler: bytes = b"") -> None:
        self._start = start
        self._measure = measure
        self._opener = opener
        self._filler = filler
        self._least = max(1, len(start))
        self._buffer = bytearray()
        self._partial = False
        self._last = 0.0
        # The stretch of no frame that is under way.
        self._waste = 0
        self._reason = ""
        self._head = b""

    def feed(self, chunk: bytes, now: float) -> list[Outcome]:
        """See Framer."""
        if self._partial and now - self._last >= FRESH_AFTER_S:
            self._partial = False
        self._last = now
        buffer = self._buffer
        buffer += chunk
        frames: list[Outcome] = []
        at = self._seek(0)
        while len(buffer) - at >= self._least:
            if self._start:
                self._close(frames)
            size = self._measure(buffer, at)
            if isinstance(size, int):
                if size > len(buffer) - at:
                    break
                outcome = self._opener(bytes(buffer[at : at + size]))
                if isinstance(outcome, bytes):
                    self._close(frames)
                    self._partial = False
                    frames.append(outcome)
                    at = self._seek(at + size)
                    continue
                size = outcome.reason
            self._give_up(size, at, at + 1)
            at = self._seek(at + 1)
        del buffer[:at]
        return frames

    def reset(self, *, partial: bool, now: float) -> BadFrame | None:
        """See Framer."""
        unfinished = self.unfinished
        self._buffer.clear()
        self._waste = 0
        self._head = b""
        self._partial = partial
        self._last = now
        return unfinished

    @property
    def unfinished(self) -> BadFrame | None:
        """See Framer."""
        size = self._waste + len(self._buffer)
        if not size:
            return None
        reason = "partial" if self._partial else self._reason if self._waste else "cut_off"
        return BadFrame(reason, size, (self._head + self._buffer)[:HEAD_BYTES])

    def held(self) -> bytes | None:
        """See Framer. A stretch of no frame that is under way stays behind; its rest is one of its own."""
        return bytes(self._buffer)

    def _seek(self, at: int) -> int:
        """The next place where a frame may begin; a start that is cut by the buffer's end counts."""
        if not self._start:
            return at
        buffer, start = self._buffer, self._start
        found = buffer.find(start, at)
        if found < 0:
            found = max(at, len(buffer) - len(start) + 1)
            while not start.startswith(bytes(buffer[found:])):
                found += 1
        if found > at:
            self._give_up("garbage", at, found)
        return found

    def _give_up(self, reason: str, begin: int, end: int) -> None:
        if not self._waste:
            if self._filler:
                begin = end - len(self._buffer[begin:end].lstrip(self._filler))
            self._reason = reason
        self._head += self._buffer[begin : min(end, begin + HEAD_BYTES - len(self._head))]
        self._waste += end - begin

    def _close(self, frames: list[Outcome]) -> None:
        """Report the stretch of no frame, if there is one."""
        if self._waste:
            reason = "partial" if self._partial else self._reason
            frames.append(BadFrame(reason, self._waste, self._head))
            self._waste = 0
            self._head = b""
            self._partial = False


def fixed(size: int) -> Measure:
    """Every frame has `size` bytes."""
    return lambda _buffer, _at: size


def length_prefix(options: LengthOptions, start: bytes, limit: int) -> Measure:
    """The frame says its length in a number of its own. Reason: `bad_length`."""
    begin = len(start) if options.at is None else options.at
    header = begin + options.width_bytes
    order: Literal["big", "little"] = options.endian
    more = options.extra_bytes + (header if options.counts == "rest" else 0)

    def measure(buffer: bytearray, at: int) -> int | str:
        if len(buffer) - at < header:
            return header
        size = more + int.from_bytes(buffer[at + begin : at + header], order)
        return size if header <= size <= limit else "bad_length"

    return measure


def until_end(start: bytes, end: bytes, tail: int, limit: int) -> Measure:
    """The frame ends `tail` bytes after `end`. Reasons: `too_long`, `cut_off` (by another start)."""

    def measure(buffer: bytearray, at: int) -> int | str:
        found = buffer.find(end, at + len(start))
        if found < 0:
            waiting = len(buffer) - at + 1
            return waiting if waiting + tail <= limit else "too_long"
        size = found + len(end) + tail - at
        if size > limit:
            return "too_long"
        return size if buffer.rfind(start, at + 1, found) < 0 else "cut_off"

    return measure
