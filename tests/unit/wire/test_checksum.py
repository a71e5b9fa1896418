"""Each checksum against its published check value, and where it stands in a frame."""

from __future__ import annotations

import pytest

from serial2iot.wire.checksum import ALGORITHMS, WIDTHS, Checksum
from serial2iot.wire.frame import BadFrame
from serial2iot.wire.options import ChecksumKind, ChecksumOptions

# "Check" of each CRC in Greg Cook's catalogue (reveng.sourceforge.io/crc-catalogue): that of the nine digits. The
# sums are counted by hand: 0x31 + ... + 0x39 = 477 = 0x1DD.
CHECK_VALUES: dict[ChecksumKind, int] = {
    "sum8": 0xDD,
    "sum8-negated": 0x23,
    "sum16": 0x01DD,
    "xor8": 0x31,
    "crc8": 0xF4,  # CRC-8/SMBUS
    "crc8-maxim": 0xA1,  # CRC-8/MAXIM-DOW
    "crc16-arc": 0xBB3D,  # CRC-16/ARC
    "crc16-modbus": 0x4B37,  # CRC-16/MODBUS
    "crc16-ccitt-false": 0x29B1,  # CRC-16/IBM-3740, long called CCITT-FALSE
    "crc16-xmodem": 0x31C3,  # CRC-16/XMODEM
    "crc16-x25": 0x906E,  # CRC-16/IBM-SDLC, long called X-25
    "crc32": 0xCBF43926,  # CRC-32/ISO-HDLC
}


@pytest.mark.parametrize("kind", ALGORITHMS)
def test_check_value(kind: ChecksumKind) -> None:
    assert ALGORITHMS[kind](b"123456789") == CHECK_VALUES[kind]


@pytest.mark.parametrize("kind", ALGORITHMS)
@pytest.mark.parametrize("endian", ["big", "little"])
def test_binary_at_the_end(kind: ChecksumKind, endian: str) -> None:
    proof = Checksum(ChecksumOptions(kind, endian=endian, skip_bytes=2, tail_bytes=1))  # type: ignore[arg-type]
    digest = CHECK_VALUES[kind].to_bytes(WIDTHS[kind], endian)  # type: ignore[arg-type]
    frame = b"--123456789" + digest + b"\xab"
    assert proof.open(frame) == b"--123456789"
    for place in range(2, len(frame) - 1):
        damaged = bytearray(frame)
        damaged[place] ^= 0x10
        assert proof.open(bytes(damaged)) == BadFrame("bad_checksum", len(frame), bytes(damaged))


def test_too_short_for_its_checksum() -> None:
    proof = Checksum(ChecksumOptions("crc16-modbus", skip_bytes=2))
    assert proof.open(b"abc") == BadFrame("too_short", 3, b"abc")
    assert Checksum(ChecksumOptions("crc16-modbus")).open(b"\xff\xff") == b""  # of nothing, its initial value


NMEA = ChecksumOptions("xor8", after=b"*", skip_bytes=1)
DSMR = ChecksumOptions("crc16-arc", after=b"!", covers_marker=True)


@pytest.mark.parametrize(
    ("options", "frame", "content"),
    [
        (NMEA, b"$GPGLL,4916.45,N,12311.12,W,225444,A,*1D", b"$GPGLL,4916.45,N,12311.12,W,225444,A,"),
        (NMEA, b"$GPGLL,4916.45,N,12311.12,W,225444,A,*1d\r", b"$GPGLL,4916.45,N,12311.12,W,225444,A,"),
        (NMEA, b"$A*B*29", b"$A*B"),  # the last marker counts: 0x41 ^ 0x2A ^ 0x42
        (NMEA, b"$A", "checksum_missing"),
        (NMEA, b"*00", "checksum_missing"),  # no room for what is skipped
        (NMEA, b"$A*4", "bad_checksum"),
        (NMEA, b"$A*041", "bad_checksum"),
        (NMEA, b"$A*4_1", "bad_checksum"),
        (NMEA, b"$A*\xff\xff", "bad_checksum"),
        (NMEA, b"$A*", "bad_checksum"),
    ],
)
def test_hex_digits_behind_a_marker(options: ChecksumOptions, frame: bytes, content: bytes | str) -> None:
    opened = Checksum(options).open(frame)
    assert (opened.reason if isinstance(opened, BadFrame) else opened) == content


def test_the_marker_may_be_covered() -> None:
    digits = b"%04X" % ALGORITHMS["crc16-arc"](b"/a\r\n!")
    assert Checksum(DSMR).open(b"/a\r\n!" + digits + b"\r\n") == b"/a\r\n"
