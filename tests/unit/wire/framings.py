"""One configuration of every framing, small enough that chance meets its limits, and bytes that provoke it."""

from __future__ import annotations

from hypothesis import strategies as st

from serial2iot.wire.options import ChecksumOptions, LengthOptions, WireOptions

SUM8 = ChecksumOptions("sum8")

FRAMINGS: dict[str, WireOptions] = {
    "lines": WireOptions(max_frame_bytes=12),
    "lines, one byte": WireOptions(max_frame_bytes=1),
    "lines crlf": WireOptions(line_end="crlf", max_frame_bytes=12),
    "lines cr": WireOptions(line_end="cr", max_frame_bytes=12),
    "lines checked": WireOptions(checksum=ChecksumOptions("xor8", after=b"*", skip_bytes=1)),
    "delimited": WireOptions(framing="delimited", delimiter=b"aab", max_frame_bytes=40),
    "fixed": WireOptions(framing="fixed", frame_bytes=4, start=b"<<", end=b">"),
    "fixed checked": WireOptions(framing="fixed", frame_bytes=4, checksum=SUM8),
    "length": WireOptions(
        framing="length", start=b"<", length=LengthOptions(width_bytes=1), max_frame_bytes=100
    ),
    "length checked": WireOptions(
        framing="length",
        length=LengthOptions(width_bytes=2, endian="little"),
        max_frame_bytes=20,
        checksum=SUM8,
    ),
    "markers": WireOptions(framing="markers", start=b"<", end=b">", max_frame_bytes=12),
    "markers long": WireOptions(
        framing="markers", start=b"<<", end=b">\n", tail_bytes=2, max_frame_bytes=12, checksum=SUM8
    ),
    "cobs": WireOptions(framing="cobs", max_frame_bytes=40),
    "slip": WireOptions(framing="slip", max_frame_bytes=40),
}
"""All but idle gap, whose frames depend on time."""

# Pieces of frames rather than random bytes, which would hardly ever make one.
SPECIAL = [
    b"\n",
    b"\r",
    b"\r\n",
    b"a",
    b"aa",
    b"aab",
    b"<",
    b"<<",
    b">",
    b">\n",
    b"\0",
    b"\xc0",
    b"\xdb",
    b"\xdb\xdc",
]
FRAMES = [
    b"<<1>",
    b"<1>",
    b"<\x02ab",
    b"abc\x26",
    b"\x01\x00a\x62",
    b"\x03ab\0",
    b"$a*61\n",
    b"{}\n",
    b"x" * 50,
]

streams = st.lists(
    st.one_of(st.sampled_from(SPECIAL), st.sampled_from(FRAMES), st.binary(max_size=5)), max_size=40
).map(b"".join)
