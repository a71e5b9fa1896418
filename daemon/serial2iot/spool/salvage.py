"""Reads out of a damaged database whatever can still be read, row by row.

A damaged page takes the rows on it, not those behind it: a tree is searched from its root, so the reader
jumps over ids that raise, by doubling the jump until a row answers and halving it back to the first that
does. Only rows whose checksum is right are copied, so nothing comes out that did not go in. Rows keep their
ids, because the running daemon knows them by these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from serial2iot.spool.database import Database
from serial2iot.spool.disk_error import DiskError
from serial2iot.spool.lane import ID_BITS, runs_of
from serial2iot.spool.record import Contexts
from serial2iot.spool.tables import Tables, contexts_in, fetch, lanes_in, runs_in

T = TypeVar("T")
AT_ONCE = 512
_END = 1 << ID_BITS


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What came out: readings, and by lane the rows that were there but damaged."""

    readings: int = 0
    damaged: Counter[str] = field(default_factory=Counter)
    run: int = 0


def salvage(path: Path, target: Database, into: Tables) -> Salvaged:
    """Copy what can be read. Raises DiskError only for what happens to the target."""
    try:
        source = Database(path, read_only=True)
    except DiskError:
        return Salvaged()
    try:
        readings, damaged = 0, Counter[str]()
        contexts = _whole(contexts_in, source)
        for number, lane in _whole(lanes_in, source):
            known = Contexts(lane)
            for place, context in contexts:
                known.add(place, context)
            for rows in _readable(source, number):
                good, bad = known.decode(rows)
                damaged[lane] += len(bad)
                readings += len(good)
                with target.transaction():
                    for first, run in runs_of(good):
                        into.insert(lane, first, run)
        return Salvaged(readings, +damaged, max(_whole(runs_in, source), default=0))
    finally:
        source.close()


def _whole(read: Callable[[Database], list[T]], source: Database) -> list[T]:
    """A small table, which is read whole or not at all."""
    try:
        return read(source)
    except DiskError:
        return []


def _readable(source: Database, number: int) -> Iterator[list[tuple[int, bytes]]]:
    at, limit = 0, AT_ONCE
    while True:
        try:
            rows = fetch(source, number, at, _END, limit)
        except DiskError:
            if limit > 1:
                limit //= 8
                continue
            after = _skip(source, number, at)
            if after is None:
                return
            at = after
            continue
        if rows:
            yield rows
            at = rows[-1][0] + 1
        if len(rows) < limit:
            return
        limit = min(AT_ONCE, limit * 8)


def _skip(source: Database, number: int, at: int) -> int | None:
    """The lowest id above `at` from which rows can be read again; None where there is none."""

    def readable(id: int) -> bool:
        try:
            return bool(fetch(source, number, id, _END, 1))
        except DiskError:
            return False

    jump = 1
    while not readable(at + jump):
        jump *= 2
        if at + jump >= _END:
            return None
    low, high = at + jump // 2, at + jump
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if readable(middle) else (middle, high)
    return high
