"""What is in the database, and every statement that reads or writes it.

    run      number                       one row: the run of the daemon that came last
    lane     number, name                 the lanes that ever reached the disk
    context  number, run, boot, ...       what many readings share; see record.py
    lane_N   id, record                   one row a reading, of lane number N

A table for each lane, so that rows are always added at the right edge of a tree, which fills its pages, and
acknowledged ones are removed by range at the left edge. `user_version` names the schema.

Many rows go in, and come out, by one statement each: SQLite is stepped once, without the interpreter's lock.
Stepped row by row, a thread asks for that lock once a row, and a busy event loop hands it over only every
5 ms: measured, 190 us a row written and 93 us a row read, against 1.3 and 2.2 us this way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from serial2iot.reading import Reading
from serial2iot.spool.contract import ROW_OVERHEAD
from serial2iot.spool.database import Database
from serial2iot.spool.disk_error import DiskError
from serial2iot.spool.record import OVERHEAD, Context, Contexts

SCHEMA = 1
AT_ONCE = 4096
"""Rows a statement writes or reads at most, which bounds what it takes in memory."""

_CREATE = (
    "CREATE TABLE run (number INTEGER NOT NULL)",
    "CREATE TABLE lane (number INTEGER PRIMARY KEY, name TEXT NOT NULL)",
    "CREATE TABLE context (number INTEGER PRIMARY KEY, run INTEGER, boot TEXT, trusted INTEGER,"
    " seq INTEGER, wall_ms INTEGER, mono_ms INTEGER)",
)
_CREATE_LANE = 'CREATE TABLE "lane_{}" (id INTEGER PRIMARY KEY, record BLOB NOT NULL)'
_INSERT = (
    "INSERT OR REPLACE INTO lane_{} SELECT ?1 + key, substr(?2, (value >> 32) + 1, value & 4294967295)"
    " FROM json_each(?3)"
)
_DELETE = "DELETE FROM lane_{} WHERE id BETWEEN ? AND ?"
_SOME = "SELECT id, record FROM lane_{} WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
_FETCH = f"SELECT group_concat(id), group_concat(hex(record)) FROM ({_SOME})"
_SIZE = f"SELECT total(length(record)) FROM ({_SOME})"
_EXTENT = "SELECT min(id), max(id), count(*), total(length(record)) FROM lane_{} WHERE id >= ? AND id < ?"
_ANY = "SELECT 1 FROM lane_{} LIMIT 1"
_RENUMBER = (
    "CREATE TABLE moved (id INTEGER PRIMARY KEY, record BLOB NOT NULL)",
    "INSERT INTO moved SELECT ?1 - 1 - (SELECT count(*) FROM lane_{0}) + row_number() OVER (ORDER BY id),"
    " record FROM lane_{0}",
    "DROP TABLE lane_{0}",
    "ALTER TABLE moved RENAME TO lane_{0}",
)


class Extent(NamedTuple):
    """Rows of one lane: the first id, one more than the last, how many they are and what they are charged."""

    first: int
    end: int
    rows: int
    charge: int


def create(db: Database) -> None:
    """Make the tables of an empty database; it is whole once `stamp` was called as well."""
    for statement in _CREATE:
        db.execute(statement)
    db.execute("INSERT INTO run VALUES (0)")


def stamp(db: Database) -> None:
    """Say that the database is whole."""
    db.execute(f"PRAGMA user_version = {SCHEMA}")


def lanes_in(db: Database) -> list[tuple[int, str]]:
    """Numbers and names of the lanes; rows that cannot be such are left out."""
    rows = db.execute("SELECT number, name FROM lane")
    return [(number, name) for number, name in rows if isinstance(number, int) and isinstance(name, str)]


def contexts_in(db: Database) -> list[tuple[int, Context]]:
    """Numbers and contexts, those that were added last at the end; rows that cannot be such are left out."""
    rows = db.execute("SELECT number, run, boot, trusted, seq, wall_ms, mono_ms FROM context ORDER BY number")
    return [
        (number, Context(run, boot, bool(trusted), *counts))
        for number, run, boot, trusted, *counts in rows
        if isinstance(boot, str) and all(isinstance(value, int) for value in (number, run, *counts))
    ]


def runs_in(db: Database) -> list[int]:
    """The runs; what cannot be one is left out."""
    return [run for (run,) in db.execute("SELECT number FROM run") if isinstance(run, int)]


def fetch(db: Database, number: int, first: int, end: int, limit: int) -> list[tuple[int, bytes]]:
    """The rows of one lane from `first` up to, not including, `end`, oldest first and at most `limit`."""
    ids, records = db.execute(_FETCH.format(number), first, end, limit)[0]
    if ids is None:
        return []
    try:
        rows = list(zip(map(int, ids.split(",")), map(bytes.fromhex, records.split(",")), strict=True))
    except ValueError as error:
        raise DiskError("damaged", f"rows that cannot be read: {error}", db.path.parent) from error
    last = first - 1
    for id, _ in rows:  # a damaged tree may hand out anything, also twice
        if not last < id < end:
            raise DiskError("damaged", f"row {id} is out of order", db.path.parent)
        last = id
    return rows


class Tables:
    """The tables of a whole database. Its ids are ids of rows: an id of the spool without its lane."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.load()

    def load(self) -> None:
        """Read what is kept in memory: the lanes and the contexts. Also after a transaction that failed."""
        self._numbers: dict[str, int] = {name: number for number, name in lanes_in(self._db)}
        self._known = {context: number for number, context in contexts_in(self._db)}
        self._contexts: dict[str, Contexts] = {}
        expected = {*_CREATE, *(_CREATE_LANE.format(number) for number in self._numbers.values())}
        if {sql for (sql,) in self._db.execute("SELECT sql FROM sqlite_master")} != expected:
            raise DiskError("damaged", "its tables are not what they were made", self._db.path.parent)

    @property
    def numbers(self) -> Mapping[str, int]:
        """The number of each lane by its name."""
        return self._numbers

    @property
    def run(self) -> int:
        """The run that came last, 0 where there was none."""
        return max(runs_in(self._db), default=0)

    def keep_run(self, number: int) -> None:
        """Remember the run, unless a greater one is known."""
        self._db.execute("UPDATE run SET number = ? WHERE number < ?", number, number)

    def tidy(self) -> None:
        """Forget the contexts if no lane holds a reading, so that they do not add up over many runs."""
        if self._known and not any(
            self._db.execute(_ANY.format(number)) for number in self._numbers.values()
        ):
            self._db.execute("DELETE FROM context")
            self._known, self._contexts = {}, {}

    def extent(self, lane: str, first: int = 0, end: int = 1 << 62) -> Extent:
        """What a lane holds between two ids."""
        low, high, count, size = self._db.execute(_EXTENT.format(self._numbers[lane]), first, end)[0]
        if not count:
            return Extent(first, first, 0, 0)
        return Extent(low, high + 1, count, int(size) + count * (ROW_OVERHEAD - OVERHEAD))

    def insert(self, lane: str, first: int, readings: Sequence[Reading]) -> None:
        """Put readings in, under ids that follow one another. A row that is there already is replaced."""
        number = self._number(lane)
        at = 0
        while at < len(readings):
            blob, sizes = self._encode(lane, readings[at : at + AT_ONCE])
            offset, places = 0, []
            for size in sizes:
                places.append(offset << 32 | size)
                offset += size
            self._db.execute(_INSERT.format(number), first + at, blob, str(places))
            at += len(sizes)

    def delete(self, lane: str, first: int, last: int) -> None:
        """Remove all rows from the first id to the last, if there are any."""
        if lane in self._numbers:
            self._db.execute(_DELETE.format(self._numbers[lane]), first, last)

    def fetch(
        self, lane: str, first: int, end: int, limit: int, max_bytes: int
    ) -> tuple[list[tuple[int, Reading]], list[int], int]:
        """Readings, the ids of damaged rows, and the id to go on from; at least one row, where there is one.

        At most `limit` rows, and not many more than `max_bytes` of them unless a single one is larger.
        """
        number = self._numbers[lane]
        limit = min(limit, AT_ONCE)
        while limit > 1 and self._db.value(_SIZE.format(number), first, end, limit) > max_bytes:
            limit //= 2
        rows = fetch(self._db, number, first, end, limit)
        good, damaged = self._contexts_of(lane).decode(rows)
        return good, damaged, rows[-1][0] + 1 if len(rows) == limit else end

    def move_below(self, lane: str, end: int) -> None:
        """Give the rows of a lane new ids in the same order, the last of them just below `end`."""
        first, *rest = _RENUMBER
        number = self._numbers[lane]
        with self._db.transaction():
            self._db.execute(first)
            self._db.execute(rest[0].format(number), end)
            for statement in rest[1:]:
                self._db.execute(statement.format(number))

    def _number(self, lane: str) -> int:
        if lane not in self._numbers:
            number = max(self._numbers.values(), default=0) + 1
            self._db.execute("INSERT INTO lane VALUES (?, ?)", number, lane)
            self._db.execute(_CREATE_LANE.format(number))
            self._numbers[lane] = number
        return self._numbers[lane]

    def _encode(self, lane: str, readings: Sequence[Reading]) -> tuple[bytes, list[int]]:
        """Records of the first of these readings, of one at least, and their sizes."""
        blob, sizes = self._contexts_of(lane).encode(readings)
        if not sizes:
            self._learn(Context.of(readings[0]))
            blob, sizes = self._contexts_of(lane).encode(readings)
            assert sizes, "a context made for a reading fits it"
        return blob, sizes

    def _contexts_of(self, lane: str) -> Contexts:
        if lane not in self._contexts:
            self._contexts[lane] = Contexts(lane)
            for context, number in self._known.items():
                self._contexts[lane].add(number, context)
        return self._contexts[lane]

    def _learn(self, context: Context) -> None:
        """Give a context a number."""
        number = max(self._known.values(), default=0) + 1
        self._db.execute("INSERT INTO context VALUES (?, ?, ?, ?, ?, ?, ?)", number, *context)
        self._known[context] = number
        for contexts in self._contexts.values():
            contexts.add(number, context)
