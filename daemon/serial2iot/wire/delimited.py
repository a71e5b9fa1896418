"""Frames that end with a delimiter: lines, and whatever is stuffed so that its end can be seen.

State: `_held` is the beginning of the unfinished frame. Once that is longer than the limit, its bytes are
only counted, in `_lost`; its head is kept, and no more is held than the beginning of a delimiter may take.
"""

from __future__ import annotations

from serial2iot.wire.frame import FRESH_AFTER_S, HEAD_BYTES, BadFrame, Opener, Outcome, bad


class DelimitedFramer:
    """Splits at `delimiter`; empty frames are nothing.

    `drop_cr` takes one CR before the delimiter away. `limit` is of the frame without either, in bytes.
    """

    def __init__(
        self, delimiter: bytes, limit: int, *, drop_cr: bool = False, opener: Opener | None = None
    ) -> None:
        self._delimiter = delimiter
        self._limit = limit
        self._drop_cr = drop_cr
        self._opener = opener
        self._slack = 1 if drop_cr else len(delimiter) - 1
        self._held = bytearray()
        self._lost = 0
        self._head = b""
        self._partial = False
        self._last = 0.0

    def feed(self, chunk: bytes, now: float) -> list[Outcome]:
        """See Framer."""
        early = self._partial_by(now) if self._partial else []
        held = self._held
        if held:
            searched = max(0, len(held) - self._slack)
            held += chunk
            if held.find(self._delimiter, searched) < 0:
                self._bound()
                return early
            chunk = bytes(held)
            held.clear()
        if self._drop_cr:
            chunk = chunk.replace(b"\r\n", b"\n")
        parts = chunk.split(self._delimiter)
        held += parts.pop()
        if parts and (self._lost or self._partial):
            early += self._close(parts.pop(0))
        self._bound()
        frames: list[Outcome] = list(filter(None, parts))
        if len(chunk) > self._limit and max(map(len, parts), default=0) > self._limit:
            frames = [bad("too_long", part) if len(part) > self._limit else part for part in parts if part]
        if self._opener is not None:
            opener = self._opener
            frames = [frame if isinstance(frame, BadFrame) else opener(frame) for frame in frames]
        return early + frames if early else frames

    def reset(self, *, partial: bool, now: float) -> BadFrame | None:
        """See Framer."""
        unfinished = self.unfinished
        self._forget()
        self._partial = partial
        self._last = now
        return unfinished

    @property
    def unfinished(self) -> BadFrame | None:
        """See Framer."""
        size = self._lost + len(self._held)
        if not size:
            return None
        reason = "partial" if self._partial else "too_long" if self._lost else "cut_off"
        return BadFrame(reason, size, (self._head + self._held)[:HEAD_BYTES])

    def held(self) -> bytes | None:
        """See Framer."""
        return None if self._lost or self._partial else bytes(self._held)

    def _partial_by(self, now: float) -> list[Outcome]:
        """End the frame that was under way when the port opened, if silence did."""
        silent = now - self._last >= FRESH_AFTER_S
        self._last = now
        if not silent:
            return []
        unfinished = self.unfinished
        self._forget()
        return [] if unfinished is None else [unfinished]

    def _close(self, rest: bytes) -> list[Outcome]:
        """End the frame that is lost or partial; `rest` is what of it was not counted yet."""
        self._held, following = bytearray(rest), self._held
        unfinished = self.unfinished
        self._forget()
        self._held = following
        return [] if unfinished is None else [unfinished]

    def _bound(self) -> None:
        """Let go of a frame that can no longer be within the limit, whatever comes."""
        held = self._held
        if len(held) > self._limit + self._slack:
            cut = len(held) - self._slack
            self._head += held[: min(cut, HEAD_BYTES - len(self._head))]
            self._lost += cut
            del held[:cut]

    def _forget(self) -> None:
        self._held.clear()
        self._lost = 0
        self._head = b""
        self._partial = False
