"""One port's bytes to encoded readings: framer, decoder, transform, filter and encoder in a row.

    chunk -> frames -> values -> changed values -> admitted values -> bytes

Books: every byte is counted; every frame becomes a body, a bad frame, or one of `filtered`, unless it says
nothing (a header, an empty line) or was claimed. JSON objects that nothing is to be done with have a loop of
their own: a busy port makes a hundred thousand of them a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from serial2iot.counters import WireCounts
from serial2iot.reading import Values
from serial2iot.wire.decode import decoder, encode
from serial2iot.wire.filter import Filter
from serial2iot.wire.framing import BadFrame, GapFramer, Outcome, framer
from serial2iot.wire.objects import decode_object
from serial2iot.wire.options import WireOptions
from serial2iot.wire.transform import Transform


class Carried(NamedTuple):
    """What some bytes gave: readings' bodies (encoded JSON objects) in order, and bad frames for the log."""

    bodies: list[bytes]
    bad: list[BadFrame]


class Pipeline:
    """Built from options that have passed `rules.check`; adds to `counts`, which may outlive it.

    `observe` sees the values of every reading, filtered ones included; `claim` sees every good frame before
    it is decoded and may keep it for itself (a board's answer to a command is no reading and no garbage).
    """

    def __init__(
        self,
        options: WireOptions,
        counts: WireCounts | None = None,
        *,
        observe: Callable[[Values], None] | None = None,
        claim: Callable[[bytes], bool] | None = None,
    ) -> None:
        self.counts = WireCounts() if counts is None else counts
        self._framer = framer(options)
        self._gap = self._framer if isinstance(self._framer, GapFramer) else None
        self._decoder = decoder(options)
        self._transform = Transform(options) if Transform.wanted(options) else None
        self._filter = Filter(options) if Filter.wanted(options) else None
        self._observe = observe
        self._claim = claim
        self._plain = not (self._transform or self._filter or observe or claim)
        self._may_be_objects = options.decode in ("auto", "json")
        self._nulled = 0

    def feed(self, chunk: bytes, now: float) -> Carried:
        """Take bytes in. `now` is monotonic, in seconds."""
        self.counts.bytes += len(chunk)
        return self._carry(self._framer.feed(chunk, now), now)

    @property
    def due(self) -> float | None:
        """When to call `flush`; None: not needed now, and never unless framing is by idle gap."""
        return None if self._gap is None else self._gap.due

    def flush(self, now: float) -> Carried:
        """Give the frame that a silence has ended."""
        return self._carry([] if self._gap is None else self._gap.flush(now), now)

    def reset(self, *, partial: bool, now: float) -> None:
        """Begin anew after the port was opened: what is unfinished is counted, what was learned is forgotten.

        `partial`: the device was talking already, so the first bytes may be the end of a frame. `now` is when the
        port was opened: bytes that come some time after that begin a frame all the same (see Framer).
        """
        self._decoder.reset()
        unfinished = self._framer.reset(partial=partial, now=now)
        if unfinished is not None:
            self.counts.bad_frames[unfinished.reason] += 1

    def held(self) -> bytes | None:
        """What a pipeline of a later run needs to go on in mid-frame (`resume`); None: it has to begin anew."""
        return self._framer.held()

    def resume(self, held: bytes, now: float) -> Carried:
        """Go on, in a fresh pipeline, where another stopped; nothing of the device was missed since.

        The bytes were counted when they came. Frames come out of them only where the framing changed meanwhile.
        """
        self._framer.reset(partial=False, now=now)
        return self._carry(self._framer.feed(held, now), now) if held else Carried([], [])

    @property
    def unfinished(self) -> BadFrame | None:
        """What is held or being thrown away: what `reset` would count (see Framer)."""
        return self._framer.unfinished

    def _carry(self, frames: list[Outcome], now: float) -> Carried:
        bodies: list[bytes] = []
        bad: list[BadFrame] = []
        if not self._plain:
            self._select(frames, now, bodies, bad)
        elif self._may_be_objects and frames and frames[0][:1] == b"{":
            self._recode(frames, bodies, bad)
        else:
            for frame in frames:
                self._take(frame, bodies, bad)
        self._count(bad)
        return Carried(bodies, bad)

    def _recode(self, frames: list[Outcome], bodies: list[bytes], bad: list[BadFrame]) -> None:
        """JSON objects, straight through the codec; it refuses, by raising, whatever else is among them."""
        for frame in frames:
            try:
                values = decode_object(frame)
            except (ValueError, TypeError):  # TypeError: a bad frame is no bytes
                self._take(frame, bodies, bad)
            else:
                if values:
                    bodies.append(encode(values))

    def _take(self, frame: Outcome, bodies: list[bytes], bad: list[BadFrame]) -> None:
        values = frame if isinstance(frame, BadFrame) else self._decoder.decode(frame)
        if isinstance(values, BadFrame):
            bad.append(values)
        elif values:
            bodies.append(encode(values))

    def _select(self, frames: list[Outcome], now: float, bodies: list[bytes], bad: list[BadFrame]) -> None:
        """The way with transform, filter and listeners."""
        for frame in frames:
            if isinstance(frame, BadFrame):
                bad.append(frame)
                continue
            if self._claim is not None and self._claim(frame):
                continue
            values = self._decoder.decode(frame)
            if isinstance(values, BadFrame):
                bad.append(values)
            elif values:
                if self._transform is not None:
                    values = self._transform.apply(values)
                if values and self._observe is not None:
                    self._observe(values)
                if values and (self._filter is None or self._filter.admit(values, now)):
                    bodies.append(encode(values))
                else:
                    self.counts.filtered += 1

    def _count(self, bad: list[BadFrame]) -> None:
        for frame in bad:
            self.counts.bad_frames[frame.reason] += 1
        nulled = self._decoder.nulled + (self._transform.nulled if self._transform is not None else 0)
        self.counts.nulled += nulled - self._nulled
        self._nulled = nulled
