"""COBS and SLIP against their published examples, and against a plain encoder."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial2iot.wire.framing import framer
from serial2iot.wire.options import ChecksumOptions, WireOptions
from serial2iot.wire.stuffing import cobs, slip
from tests.unit.wire.wiring import framed


def cobs_encode(content: bytes) -> bytes:
    """The encoder of the paper, by blocks."""
    out = bytearray()
    for block in content.split(b"\0"):
        while len(block) > 253:
            out += b"\xff" + block[:254]
            block = block[254:]
        out += bytes([len(block) + 1]) + block
    return bytes(out)


def slip_encode(content: bytes) -> bytes:
    """RFC 1055, without its END."""
    return content.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")


# Cheshire and Baker, section 4, and the examples that go with it in general use.
@pytest.mark.parametrize(
    ("content", "stuffed"),
    [
        ("00", "0101"),
        ("0000", "010101"),
        ("001100", "01021101"),
        ("11220033", "0311220233"),
        ("11223344", "0511223344"),
        ("11000000", "0211010101"),
        (bytes(range(1, 255)).hex(), "ff" + bytes(range(1, 255)).hex()),
        ("00" + bytes(range(1, 255)).hex(), "01ff" + bytes(range(1, 255)).hex()),
        (bytes(range(1, 256)).hex(), "ff" + bytes(range(1, 255)).hex() + "02ff"),
        ((bytes(range(2, 256)) + b"\0").hex(), "ff" + bytes(range(2, 256)).hex() + "0101"),
        ((bytes(range(3, 256)) + b"\0\1").hex(), "fe" + bytes(range(3, 256)).hex() + "0201"),
    ],
)
def test_cobs_examples(content: str, stuffed: str) -> None:
    assert cobs(bytes.fromhex(stuffed)) == bytes.fromhex(content)


@given(st.binary(max_size=1200))
def test_cobs_is_the_inverse_of_its_encoder(content: bytes) -> None:
    assert cobs(cobs_encode(content)) == content


@given(st.binary(max_size=300))
def test_slip_is_the_inverse_of_its_encoder(content: bytes) -> None:
    assert slip(slip_encode(content)) == content


def test_broken_stuffing_costs_one_frame() -> None:
    good = cobs_encode(b"ok\0")
    assert framed(framer(WireOptions(framing="cobs")), b"\x05ab\0", good + b"\0") == [
        ("bad_cobs", 3),
        b"ok\0",
    ]
    framing = framer(WireOptions(framing="slip"))
    sent = b"\xc0a\xdbb\xc0\xc0c\xdb\xc0ok\xdb\xdd\xc0"  # escapes nothing; ends in an escape; good
    assert framed(framing, sent) == [("bad_slip", 3), ("bad_slip", 2), b"ok\xdb"]


def test_a_frame_whose_content_has_no_room_for_its_checksum_is_counted_as_it_came() -> None:
    options = WireOptions(framing="cobs", checksum=ChecksumOptions("crc16-xmodem"))
    assert framed(framer(options), b"\x01\0\x02a\0") == [("too_short", 1), ("too_short", 2)]
