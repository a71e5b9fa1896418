"""Fixed size, length prefix and markers: finding frames again after bytes were lost or changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serial2iot.wire.frame import FRESH_AFTER_S, BadFrame
from serial2iot.wire.framing import framer
from serial2iot.wire.options import ChecksumOptions, LengthOptions, WireOptions
from tests.unit.wire.wiring import framed

FIXED = WireOptions(framing="fixed", frame_bytes=5, start=b"\xaa\xc0", end=b"\xab")
LENGTH = WireOptions(framing="length", start=b"BM", length=LengthOptions(width_bytes=1), max_frame_bytes=16)
MARKERS = WireOptions(framing="markers", start=b"<", end=b">", max_frame_bytes=16)
SUM8 = ChecksumOptions("sum8")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"\xaa\xc012\xab\xaa\xc034\xab", [b"\xaa\xc012\xab", b"\xaa\xc034\xab"]),
        (b"noise\xaa\xc012\xab", [("garbage", 5), b"\xaa\xc012\xab"]),
        (b"\xaa\xc01\xab\xaa\xc034\xab", [("bad_end", 4), b"\xaa\xc034\xab"]),
        (b"\xaa\xaa\xc012\xab", [("garbage", 1), b"\xaa\xc012\xab"]),
        (b"\xaa\xc012", []),
    ],
)
def test_fixed(sent: bytes, expected: list[object]) -> None:
    assert framed(framer(FIXED), sent) == expected


def test_fixed_without_a_start_is_found_by_its_checksum() -> None:
    options = WireOptions(framing="fixed", frame_bytes=4, checksum=SUM8)
    frame = b"abc" + bytes([sum(b"abc") & 0xFF])
    assert framed(framer(options), b"z" + frame + frame) == [("bad_checksum", 1), b"abc", b"abc"]


@pytest.mark.parametrize(
    ("length", "sent"),
    [
        (LengthOptions(width_bytes=1), b"BM\x03abc"),
        (LengthOptions(width_bytes=2, endian="big"), b"BM\x00\x03abc"),
        (LengthOptions(width_bytes=2, endian="little"), b"BM\x03\x00abc"),
        (LengthOptions(width_bytes=4, endian="little"), b"BM\x03\x00\x00\x00abc"),
        (LengthOptions(width_bytes=1, counts="frame"), b"BM\x06abc"),
        (LengthOptions(width_bytes=1, extra_bytes=2), b"BM\x01abc"),
        (LengthOptions(width_bytes=1, counts="frame", extra_bytes=1), b"BM\x05abc"),
        (LengthOptions(width_bytes=1, at=4), b"BMid\x01c"),
    ],
)
def test_length_prefix(length: LengthOptions, sent: bytes) -> None:
    assert framed(framer(replace(LENGTH, length=length)), sent + sent + sent[:3]) == [sent, sent]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"BM\xffBM\x01a", [("bad_length", 3), b"BM\x01a"]),  # beyond max_frame_bytes: not waited for
        (b"BM\x05aBM\x01bBM\x01c", [b"BM\x05aBM\x01b", b"BM\x01c"]),  # lost bytes, nothing to tell by
        (b"B" * 5 + b"BM\x00", [("garbage", 5), b"BM\x00"]),
    ],
)
def test_length_prefix_after_damage(sent: bytes, expected: list[object]) -> None:
    assert framed(framer(LENGTH), sent) == expected


def test_a_length_that_lies_does_not_swallow_the_next_frame_where_a_checksum_proves_it() -> None:
    options = replace(LENGTH, length=LengthOptions(width_bytes=1, extra_bytes=1), checksum=SUM8)
    good = b"BM\x01a" + bytes([sum(b"BM\x01a") & 0xFF])
    lying = b"BM\x05a" + bytes([sum(b"BM\x01a") & 0xFF])
    assert framed(framer(options), lying + good + good) == [("bad_checksum", 5), b"BM\x01a", b"BM\x01a"]


def test_frame_counting_lengths_shorter_than_the_header_are_refused() -> None:
    options = replace(LENGTH, length=LengthOptions(width_bytes=1, counts="frame"))
    assert framed(framer(options), b"BM\x00BM\x04a") == [("bad_length", 3), b"BM\x04a"]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"<12,3><45>", [b"12,3", b"45"]),
        (b"boot\n<12,3>\r\n<45>", [("garbage", 5), b"12,3", b"45"]),  # line ends between frames are nothing
        (b"<1>\n \nboot<2>", [b"1", ("garbage", 4), b"2"]),
        (b"<12<45>", [("cut_off", 3), b"45"]),  # the first was cut; its start is not taken for data
        (b"<" + b"x" * 15 + b"><1>", [("too_long", 17), b"1"]),
        (b"<" + b"x" * 14 + b">", [b"x" * 14]),  # exactly max_frame_bytes
        (b"<" + b"x" * 20 + b"<1>", [("too_long", 21), b"1"]),
    ],
)
def test_markers(sent: bytes, expected: list[object]) -> None:
    assert framed(framer(MARKERS), sent) == expected


def test_markers_with_a_tail() -> None:
    options = WireOptions(framing="markers", start=b"/", end=b"!", tail_bytes=3)
    assert framed(framer(options), b"/ab!C\r", b"\n/cd!D\r\n") == [b"ab", b"cd"]


def test_a_checksum_stands_before_or_behind_the_end_marker() -> None:
    before = replace(MARKERS, checksum=ChecksumOptions("sum8", skip_bytes=1, tail_bytes=1))
    assert framed(framer(before), b"<ab" + bytes([sum(b"ab")]) + b">") == [b"ab"]
    behind = replace(MARKERS, tail_bytes=1, checksum=ChecksumOptions("sum8", skip_bytes=1))
    assert framed(framer(behind), b"<a>" + bytes([sum(b"a>")])) == [b"a"]


def test_after_open_the_rest_of_a_frame_is_partial_not_garbage() -> None:
    fixed = framer(FIXED)
    fixed.reset(partial=True, now=0.0)
    assert framed(fixed, b"2\xab\xaa\xc012\xabx\xaa\xc012\xab") == [
        ("partial", 2),
        b"\xaa\xc012\xab",
        ("garbage", 1),
        b"\xaa\xc012\xab",
    ]


def test_what_comes_long_after_open_is_not_partial() -> None:
    fixed = framer(FIXED)
    fixed.reset(partial=True, now=0.0)
    assert framed(fixed, b"2\xab\xaa\xc012\xab", now=FRESH_AFTER_S)[0] == ("garbage", 2)


def test_what_is_unfinished_is_told_with_its_reason() -> None:
    fixed = framer(FIXED)
    assert fixed.unfinished is None
    fixed.feed(b"\xaa\xc01", 0.0)
    assert fixed.unfinished == BadFrame("cut_off", 3, b"\xaa\xc01")
    fixed.feed(b"23456", 0.0)
    assert fixed.unfinished == BadFrame("bad_end", 8, b"\xaa\xc0123456")
    assert fixed.reset(partial=False, now=0.0) == BadFrame("bad_end", 8, b"\xaa\xc0123456")
    assert fixed.unfinished is None
