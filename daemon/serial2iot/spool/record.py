"""A reading as bytes, and back. Pure.

    | context  4 | seq  4 | wall_ms  4 | mono_ms  4 | body ... | crc  4 |        unsigned, little endian

`context` stands for what hardly ever changes: the run, the boot, whether the clock was trusted, and the
values from which the three numbers count; a table of the database says which. So a row costs 20 bytes beside
its body. The CRC-32 covers the lane's name, the values behind `context` (not its number), the numbers and the
body, because SQLite's pages carry no checksum. A damaged row, a row that wandered into another lane and a row
whose context was damaged are all seen, and never become a reading.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple
from zlib import crc32

from serial2iot.reading import Reading, Stamp

_HEAD = struct.Struct("<IIII")
_SEED = struct.Struct("<q?qqq")
_CRC_BYTES = 4
_MIDDLE = 1 << 31
OVERHEAD = _HEAD.size + _CRC_BYTES


class Context(NamedTuple):
    """What many readings share. The last three are what their numbers count from."""

    run: int
    boot: str
    trusted: bool
    seq: int
    wall_ms: int
    mono_ms: int

    @classmethod
    def of(cls, reading: Reading) -> Context:
        """A context for this reading and those near it: 24 days, and 2,000,000,000 readings, each way."""
        wall_ms, mono_ms, boot, trusted = reading.stamp
        return cls(reading.run, boot, trusted, reading.seq - _MIDDLE, wall_ms - _MIDDLE, mono_ms - _MIDDLE)

    def seed(self, lane: str) -> int:
        """The checksum that every row of this lane and context begins with."""
        fixed = _SEED.pack(self.run, self.trusted, self.seq, self.wall_ms, self.mono_ms)
        return crc32(fixed, crc32(b"%b\0%b\0" % (lane.encode(), self.boot.encode())))


class Contexts:
    """The contexts of one lane. Of those that differ in what they count from, the last is written."""

    def __init__(self, lane: str) -> None:
        self._lane = lane
        self._by_number: dict[int, tuple[Context, int]] = {}
        self._latest: dict[tuple[int, str, bool], tuple[int, int, int, int, int]] = {}

    def add(self, number: int, context: Context) -> None:
        """Let `number` stand for a context."""
        run, boot, trusted, seq, wall_ms, mono_ms = context
        seed = context.seed(self._lane)
        self._by_number[number] = (context, seed)
        self._latest[run, boot, trusted] = (number, seed, seq, wall_ms, mono_ms)

    def encode(self, readings: Iterable[Reading]) -> tuple[bytes, list[int]]:
        """Records, one after another, and their sizes; up to the first reading that needs a new context."""
        parts: list[bytes] = []
        sizes: list[int] = []
        latest = self._latest
        try:
            for run, seq, (wall_ms, mono_ms, boot, trusted), body in readings:
                number, seed, seq_0, wall_0, mono_0 = latest[run, boot, trusted]
                head = _HEAD.pack(number, seq - seq_0, wall_ms - wall_0, mono_ms - mono_0)
                parts += (head, body, crc32(body, crc32(head[4:], seed)).to_bytes(_CRC_BYTES, "little"))
                sizes.append(OVERHEAD + len(body))
        except (KeyError, struct.error):
            pass
        return b"".join(parts), sizes

    def decode(self, records: Iterable[tuple[int, bytes]]) -> tuple[list[tuple[int, Reading]], list[int]]:
        """Readings with their ids, and the ids of the damaged ones. Equal stamps become one object."""
        good: list[tuple[int, Reading]] = []
        damaged: list[int] = []
        last = Stamp(0, 0, "", False)
        for id, record in records:
            known = self._by_number.get(int.from_bytes(record[:4], "little"))
            if known is None or len(record) < OVERHEAD:
                damaged.append(id)
                continue
            (run, boot, trusted, seq_0, wall_0, mono_0), seed = known
            if crc32(record[4:-_CRC_BYTES], seed) != int.from_bytes(record[-_CRC_BYTES:], "little"):
                damaged.append(id)
                continue
            _, seq, wall_ms, mono_ms = _HEAD.unpack_from(record)
            stamp = Stamp(wall_ms + wall_0, mono_ms + mono_0, boot, trusted)
            if stamp != last:
                last = stamp
            good.append((id, Reading(run, seq + seq_0, last, record[_HEAD.size : -_CRC_BYTES])))
        return good, damaged
