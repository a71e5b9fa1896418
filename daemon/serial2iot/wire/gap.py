"""Frames that end with silence: what comes without a pause belongs together.

The one framing whose frames depend on time. Its owner calls `flush` when `due` is reached; bytes that arrive
after the pause end the frame just as well.
"""

from __future__ import annotations

from serial2iot.wire.frame import HEAD_BYTES, BadFrame, Opener, Outcome


class GapFramer:
    """A frame ends when nothing came for `gap_s` seconds. `limit` is in bytes."""

    def __init__(self, gap_s: float, limit: int, *, opener: Opener | None = None) -> None:
        self._gap_s = gap_s
        self._limit = limit
        self._opener = opener
        self._held = bytearray()
        self._size = 0
        self._partial = False
        self._last = 0.0

    @property
    def due(self) -> float | None:
        """When to call `flush`, on the clock of `feed`; None while nothing is held."""
        return self._last + self._gap_s if self._size else None

    def feed(self, chunk: bytes, now: float) -> list[Outcome]:
        """See Framer."""
        frames = self.flush(now)
        if not self._size and now - self._last >= self._gap_s:
            self._partial = False
        self._last = now
        self._size += len(chunk)
        self._held += chunk
        if self._size > self._limit:
            del self._held[HEAD_BYTES:]
        return frames

    def flush(self, now: float) -> list[Outcome]:
        """End the frame, if it has been silent for long enough."""
        due = self.due
        if due is None or now < due:
            return []
        frame: Outcome | None = self.unfinished
        if not self._partial and self._size <= self._limit:
            frame = bytes(self._held)
            if self._opener is not None:
                frame = self._opener(frame)
        self._forget()
        return [] if frame is None else [frame]

    def reset(self, *, partial: bool, now: float) -> BadFrame | None:
        """See Framer. Here, the pause after which a frame is whole is the gap itself."""
        unfinished = self.unfinished
        self._forget()
        self._partial = partial
        self._last = now
        return unfinished

    @property
    def unfinished(self) -> BadFrame | None:
        """See Framer."""
        if not self._size:
            return None
        reason = "partial" if self._partial else "cut_off" if self._size <= self._limit else "too_long"
        return BadFrame(reason, self._size, bytes(self._held[:HEAD_BYTES]))

    def held(self) -> bytes | None:
        """See Framer. Where the pauses were is not known of bytes that waited for a reader."""
        return None

    def _forget(self) -> None:
        self._held.clear()
        self._size = 0
        self._partial = False
