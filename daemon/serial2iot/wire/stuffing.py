"""Undoing byte stuffing: COBS and SLIP. Both free a byte value from the data, so that it can end a frame."""

from __future__ import annotations

import re

from serial2iot.wire.frame import Outcome, bad

COBS_END = b"\x00"
SLIP_END = b"\xc0"

_BROKEN_ESCAPE = re.compile(rb"\xdb(?![\xdc\xdd])")


def cobs(frame: bytes) -> Outcome:
    """Undo Consistent Overhead Byte Stuffing (Cheshire and Baker, 1997). `frame` comes without its zero.

    Each block begins with its length; a block shorter than 255 stands for its data and a zero, the last
    one for its data alone. Reason: `bad_cobs`, a block that would reach beyond the frame.
    """
    content = bytearray()
    at = 0
    while at < len(frame):
        code = frame[at]
        if not code or at + code > len(frame):
            return bad("bad_cobs", frame)
        content += frame[at + 1 : at + code]
        at += code
        if code < 255 and at < len(frame):
            content.append(0)
    return bytes(content)


def slip(frame: bytes) -> Outcome:
    """Undo SLIP's escapes (RFC 1055). `frame` comes without its END.

    Reason: `bad_slip`, an ESC that nothing of meaning follows; RFC 1055 leaves its fate open.
    """
    if _BROKEN_ESCAPE.search(frame):
        return bad("bad_slip", frame)
    return frame.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
