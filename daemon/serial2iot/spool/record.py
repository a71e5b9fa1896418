"""A reading as bytes, and back. Pure.

    | context  4 | seq  8 | wall_ms  8 | mono_ms  8 | body ... | crc  4 |        little endian

`context` stands for what hardly ever changes: the run, the boot and whether the clock was trusted; a table of
the database says which. The CRC-32 covers the lane's name, the values behind `context` (not its number), the
numbers and the body, because SQLite's pages carry no checksum. So a damaged row, a row that wandered into
another lane and a row whose context was damaged are all seen, and never become a reading.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple
from zlib import crc32

from serial2iot.reading import Reading, Stamp

_HEAD = struct.Struct("<Iqqq")
_SEED = struct.Struct("<q?")
_CRC_BYTES = 4
OVERHEAD = _HEAD.size + _CRC_BYTES


class Context(NamedTuple):
    """What many readings share."""

    run: int
    boot: str
    trusted: bool


class Contexts:
    """The contexts of one lane by number, with the checksum that each begins."""

    def __init__(self, lane: str) -> None:
        self._lane = lane.encode()
        self._by_number: dict[int, tuple[Context, int]] = {}
        self._numbers: dict[Context, tuple[int, int]] = {}

    def add(self, number: int, context: Context) -> None:
        """Let `number` stand for a context."""
        text = b"%b\0%b\0" % (self._lane, context.boot.encode())
        seed = crc32(_SEED.pack(context.run, context.trusted), crc32(text))
        self._by_number[number] = (context, seed)
        self._numbers[context] = (number, seed)

    def encode(self, readings: Iterable[Reading]) -> tuple[bytes, list[int]]:
        """Records, one after another, and the size of each. KeyError for a context that was not added."""
        parts: list[bytes] = []
        sizes: list[int] = []
        for run, seq, (wall_ms, mono_ms, boot, trusted), body in readings:
            number, seed = self._numbers[(run, boot, trusted)]  # type: ignore[index]  # equal and hashed alike
            head = _HEAD.pack(number, seq, wall_ms, mono_ms)
            parts += (head, body, crc32(body, crc32(head[4:], seed)).to_bytes(_CRC_BYTES, "little"))
            sizes.append(OVERHEAD + len(body))
        return b"".join(parts), sizes

    def decode(self, records: Iterable[tuple[int, bytes]]) -> tuple[list[tuple[int, Reading]], list[int]]:
        """Readings with their ids, and the ids of the damaged ones. Equal stamps become one object."""
        good: list[tuple[int, Reading]] = []
        damaged: list[int] = []
        stamp = Stamp(0, 0, "", False)
        for id, record in records:
            known = self._by_number.get(int.from_bytes(record[:4], "little"))
            if known is None or len(record) < OVERHEAD:
                damaged.append(id)
                continue
            (run, boot, trusted), seed = known
            if crc32(record[4:-_CRC_BYTES], seed) != int.from_bytes(record[-_CRC_BYTES:], "little"):
                damaged.append(id)
                continue
            _, seq, wall_ms, mono_ms = _HEAD.unpack_from(record)
            arrived = Stamp(wall_ms, mono_ms, boot, trusted)
            if arrived != stamp:
                stamp = arrived
            good.append((id, Reading(run, seq, stamp, record[_HEAD.size : -_CRC_BYTES])))
        return good, damaged
