"""The proof at the end of a frame: computing it, finding it, cutting it off.

CRC-32 and the two CRC-16 with polynomial 0x1021 and the high bit first come from zlib and binascii, in C; the
others are a table and a loop (docs/decisions/0003-wire.md says why not a library).
"""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Callable
from functools import reduce
from operator import xor

from serial2iot.wire.frame import Outcome, bad
from serial2iot.wire.options import ChecksumKind, ChecksumOptions


def _table(polynomial: int) -> tuple[int, ...]:
    """The remainder of each byte, low bit first; `polynomial` is reflected."""
    table = []
    for byte in range(256):
        remainder = byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (polynomial if remainder & 1 else 0)
        table.append(remainder)
    return tuple(table)


def _reflected(polynomial: int, initial: int, final: int = 0) -> Callable[[bytes], int]:
    table = _table(polynomial)

    def crc(data: bytes) -> int:
        value = initial
        for byte in data:
            value = value >> 8 ^ table[(value ^ byte) & 0xFF]
        return value ^ final

    return crc


def _crc8_table() -> tuple[int, ...]:
    """The remainder of each byte, high bit first, polynomial 0x07."""
    table = []
    for byte in range(256):
        remainder = byte
        for _ in range(8):
            remainder = (remainder << 1 ^ (0x07 if remainder & 0x80 else 0)) & 0xFF
        table.append(remainder)
    return tuple(table)


_CRC8 = _crc8_table()

WIDTHS: dict[ChecksumKind, int] = {
    "sum8": 1,
    "sum8-negated": 1,
    "sum16": 2,
    "xor8": 1,
    "crc8": 1,
    "crc8-maxim": 1,
    "crc16-arc": 2,
    "crc16-modbus": 2,
    "crc16-ccitt-false": 2,
    "crc16-xmodem": 2,
    "crc16-x25": 2,
    "crc32": 4,
}
"""How many bytes each kind takes."""

ALGORITHMS: dict[ChecksumKind, Callable[[bytes], int]] = {
    "sum8": lambda data: sum(data) & 0xFF,
    "sum8-negated": lambda data: -sum(data) & 0xFF,
    "sum16": lambda data: sum(data) & 0xFFFF,
    "xor8": lambda data: reduce(xor, data, 0),
    "crc8": lambda data: reduce(lambda value, byte: _CRC8[value ^ byte], data, 0),
    "crc8-maxim": _reflected(0x8C, 0),
    "crc16-arc": _reflected(0xA001, 0),
    "crc16-modbus": _reflected(0xA001, 0xFFFF),
    "crc16-ccitt-false": lambda data: binascii.crc_hqx(data, 0xFFFF),
    "crc16-xmodem": lambda data: binascii.crc_hqx(data, 0),
    "crc16-x25": _reflected(0x8408, 0xFFFF, 0xFFFF),
    "crc32": zlib.crc32,
}
"""CRC parameters as in Greg Cook's catalogue (reveng.sourceforge.io/crc-catalogue)."""


class Checksum:
    """One port's checksum. Reasons: `bad_checksum`, `checksum_missing` (no marker), `too_short`."""

    def __init__(self, options: ChecksumOptions) -> None:
        self._options = options
        self._compute = ALGORITHMS[options.kind]
        self._width = WIDTHS[options.kind]

    def open(self, frame: bytes) -> Outcome:
        """The frame up to its checksum, if that is right."""
        return (
            self._open_binary(frame)
            if self._options.after is None
            else self._open_text(frame, self._options.after)
        )

    def _open_binary(self, frame: bytes) -> Outcome:
        end = len(frame) - self._options.tail_bytes
        begin = end - self._width
        if begin < self._options.skip_bytes:
            return bad("too_short", frame)
        given = int.from_bytes(frame[begin:end], self._options.endian)
        if given != self._compute(frame[self._options.skip_bytes : begin]):
            return bad("bad_checksum", frame)
        return frame[:begin]

    def _open_text(self, frame: bytes, marker: bytes) -> Outcome:
        begin = frame.rfind(marker)
        if begin < self._options.skip_bytes:
            return bad("checksum_missing", frame)
        try:
            given = bytes.fromhex(frame[begin + len(marker) :].strip().decode("ascii"))
        except ValueError:
            return bad("bad_checksum", frame)
        covered_end = begin + len(marker) if self._options.covers_marker else begin
        covered = frame[self._options.skip_bytes : covered_end]
        if len(given) != self._width or int.from_bytes(given, "big") != self._compute(covered):
            return bad("bad_checksum", frame)
        return frame[:begin]
