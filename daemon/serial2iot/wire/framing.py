"""The framer that a port's options ask for.

| framing   | a frame ends                     | given as                                            |
|-----------|----------------------------------|-----------------------------------------------------|
| lines     | at a line end                    | the line, without it                                |
| delimited | at `delimiter`                   | what is before it                                   |
| markers   | `tail_bytes` after `end`         | what is between `start` and `end`                   |
| fixed     | after `frame_bytes`              | the whole, `start` and `end` included               |
| length    | where its length says            | the whole, `start` and length included              |
| cobs      | at a zero                        | its content                                         |
| slip      | at END, 0xC0                     | its content                                         |
| gap       | after `gap_ms` of silence        | the whole                                           |

A checksum is proved on the way and cut off with all that follows it.
"""

from __future__ import annotations

from collections.abc import Callable

from serial2iot.wire import resync, stuffing
from serial2iot.wire.checksum import Checksum
from serial2iot.wire.delimited import DelimitedFramer
from serial2iot.wire.frame import BadFrame, Framer, Opener, Outcome, bad
from serial2iot.wire.gap import GapFramer
from serial2iot.wire.options import WireOptions

__all__ = ["BadFrame", "Framer", "GapFramer", "Outcome", "framer"]

_LINE_ENDS = {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}


def framer(options: WireOptions) -> Framer:
    """Build it. The options have passed `rules.check`."""
    proof = Checksum(options.checksum).open if options.checksum is not None else None
    return _BUILDERS[options.framing](options, proof)


def _lines(options: WireOptions, proof: Opener | None) -> Framer:
    end = options.line_end
    return DelimitedFramer(_LINE_ENDS[end], options.max_frame_bytes, drop_cr=end == "lf", opener=proof)


def _delimited(options: WireOptions, proof: Opener | None) -> Framer:
    return DelimitedFramer(options.delimiter, options.max_frame_bytes, opener=proof)


def _cobs(options: WireOptions, proof: Opener | None) -> Framer:
    opener = _then(stuffing.cobs, proof)
    return DelimitedFramer(stuffing.COBS_END, options.max_frame_bytes, opener=opener)


def _slip(options: WireOptions, proof: Opener | None) -> Framer:
    opener = _then(stuffing.slip, proof)
    return DelimitedFramer(stuffing.SLIP_END, options.max_frame_bytes, opener=opener)


def _gap(options: WireOptions, proof: Opener | None) -> Framer:
    assert options.gap_ms is not None
    return GapFramer(options.gap_ms / 1000, options.max_frame_bytes, opener=proof)


def _fixed(options: WireOptions, proof: Opener | None) -> Framer:
    assert options.frame_bytes is not None
    end = options.end

    def opener(raw: bytes) -> Outcome:
        if not raw.endswith(end):
            return bad("bad_end", raw)
        return raw if proof is None else proof(raw)

    return resync.ResyncFramer(options.start, resync.fixed(options.frame_bytes), opener)


def _length(options: WireOptions, proof: Opener | None) -> Framer:
    assert options.length is not None
    measure = resync.length_prefix(options.length, options.start, options.max_frame_bytes)
    return resync.ResyncFramer(options.start, measure, proof or _whole)


def _markers(options: WireOptions, proof: Opener | None) -> Framer:
    begin, beyond = len(options.start), len(options.end) + options.tail_bytes

    def opener(raw: bytes) -> Outcome:
        proved = raw if proof is None else proof(raw)
        return proved if isinstance(proved, BadFrame) else proved[begin : len(raw) - beyond]

    measure = resync.until_end(options.start, options.end, options.tail_bytes, options.max_frame_bytes)
    return resync.ResyncFramer(options.start, measure, opener, filler=b" \t\r\n")


def _then(first: Opener, second: Opener | None) -> Opener:
    if second is None:
        return first

    def both(raw: bytes) -> Outcome:
        content = first(raw)
        if isinstance(content, BadFrame):
            return content
        proved = second(content)
        return bad(proved.reason, raw) if isinstance(proved, BadFrame) else proved

    return both


def _whole(raw: bytes) -> Outcome:
    return raw


_BUILDERS: dict[str, Callable[[WireOptions, Opener | None], Framer]] = {
    "lines": _lines,
    "delimited": _delimited,
    "markers": _markers,
    "fixed": _fixed,
    "length": _length,
    "cobs": _cobs,
    "slip": _slip,
    "gap": _gap,
}
