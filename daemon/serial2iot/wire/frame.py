"""What comes out of bytes before they have a meaning: frames, and frames that are none.

A framer takes chunks of any size, down to one byte, and gives the same frames whatever the chunks were
(idle gap apart, whose frames are made by time). Rules every framer keeps, and tests/fuzz proves:

1. No frame is longer than its limit, and no more than one frame and one chunk are held.
2. What is thrown away is never silent: each stretch of it is one `BadFrame` with its whole size.
3. Nothing raises, whatever the bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

HEAD_BYTES = 32
"""How much of a bad frame is kept, for the log."""

FRESH_AFTER_S = 0.3
"""A first byte that comes this long after the port was opened begins a frame. At 300 baud a byte takes 33 ms,
and a board that resets at open is silent longer than this in its boot loader."""


class BadFrame(NamedTuple):
    """Bytes that gave no reading. `reason` is a counter's key and a journal field."""

    reason: str
    size: int  # bytes
    head: bytes  # the first ones, at most HEAD_BYTES


Outcome: TypeAlias = "bytes | BadFrame"
Opener: TypeAlias = "Callable[[bytes], Outcome]"
"""From a frame's raw bytes to its content: stuffing undone, checksum proved and cut off."""


def bad(reason: str, frame: bytes) -> BadFrame:
    """A whole frame that is held in memory, as bad."""
    return BadFrame(reason, len(frame), frame[:HEAD_BYTES])


class Framer(Protocol):
    """Bytes to frames. `now` is monotonic, in seconds."""

    def feed(self, chunk: bytes, now: float) -> list[Outcome]:
        """Take bytes in; give the frames that they complete."""

    def reset(self, *, partial: bool, now: float) -> BadFrame | None:
        """Begin anew after the port was opened; give what was unfinished.

        `partial` says that the device was talking already, so that the first bytes may be the end of a frame:
        they are given as a bad frame `partial`, unless they come FRESH_AFTER_S after the reset.
        """

    @property
    def unfinished(self) -> BadFrame | None:
        """What is held, or being thrown away, as it would be reported if nothing more came.

        A size that keeps growing tells that the framing does not fit the device.
        """

    def held(self) -> bytes | None:
        """The bytes by which a new framer, reset as not partial and fed with them, goes on where this one is.

        None: it cannot, because a frame is being thrown away, or because its time is part of it.
        """
