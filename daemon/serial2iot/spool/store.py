"""The database of one spool: opened whatever state it is in, written in groups, read in pieces.

Everything here blocks and runs in the one thread that may. Rules:

1. `open` never gives up for the sake of what is in the file: a damaged database is salvaged into a new one
   and set aside, one of a later release is set aside as it is. It raises DiskError only where nothing can be
   written.
2. `commit` is one transaction: all or nothing, and on the disk when it returns.
3. Ids are the spool's. A lane's part of them (`Place.base`) is not stored: on the disk, names tell lanes
   apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from serial2iot.reading import Reading
from serial2iot.spool import set_aside, tables
from serial2iot.spool.database import Database
from serial2iot.spool.disk_error import DiskError, of_os_error
from serial2iot.spool.id_ranges import Run
from serial2iot.spool.salvage import Salvaged, salvage
from serial2iot.spool.tables import Extent, Tables


class Place(NamedTuple):
    """A lane as the store is asked for it: its name, and what its ids have in common."""

    name: str
    base: int


class Change(NamedTuple):
    """What a commit does to one lane: runs of readings that go in, by their first id, and ids that go out."""

    place: Place
    readings: Sequence[tuple[int, Sequence[Reading]]]
    gone: Sequence[Run]


class Committed(NamedTuple):
    """How long a commit took, and how much of the file is in use after it, in bytes."""

    took_s: float
    used: int


class Loaded(NamedTuple):
    """Readings of one lane with their ids, the ids of damaged rows, and the id to go on from."""

    pairs: list[tuple[int, Reading]]
    damaged: list[int]
    next: int


@dataclass(frozen=True, slots=True)
class Opened:
    """What `open` found: lanes by name, with the ids of their rows. `aside` is a file that was set aside.

    `run` is None where the file that knew it is lost.
    """

    run: int | None
    lanes: dict[str, Extent]
    kept: tuple[str, ...] = ()  # all files that were ever set aside and are still there
    aside: Path | None = None
    why: str = ""
    salvaged: Salvaged | None = None


class Store:
    """`wall` is seconds since the epoch, for the names of files that are set aside."""

    def __init__(self, path: Path, wall: Callable[[], float]) -> None:
        self._path = path
        self._wall = wall
        self._db: Database | None = None
        self._tables: Tables | None = None

    def open(self) -> Opened:
        """Open the database, or make one."""
        self.close()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._finish_replacement()
            try:
                return self._open()
            except DiskError as failure:
                if failure.kind != "damaged":
                    raise
                return self._replace(str(failure))
        except OSError as error:
            raise of_os_error(error, self._path.parent) from error

    def replace(self, why: str) -> Opened:
        """Salvage what can be had from the database, set it aside and go on with a new one."""
        try:
            return self._replace(why)
        except OSError as error:
            raise of_os_error(error, self._path.parent) from error

    def keep_run(self, number: int) -> None:
        """Remember the run."""
        db, here = self._opened()
        with db.transaction():
            here.keep_run(number)
            here.tidy()

    def extent(self, place: Place, first: int, end: int) -> Extent:
        """What is stored of a lane from the id `first` up to, not including, `end`."""
        _, here = self._opened()
        if place.name not in here.numbers:
            return Extent(first, first, 0, 0)
        low, high, rows, charge = here.extent(place.name, first - place.base, end - place.base)
        return Extent(low + place.base, high + place.base, rows, charge)

    def move_below(self, place: Place, end: int) -> None:
        """Renumber what is stored of a lane so that its ids end below `end`."""
        self._opened()[1].move_below(place.name, end - place.base)

    def commit(self, changes: Sequence[Change]) -> Committed:
        """Put readings in and take ids out, in one transaction."""
        db, here = self._opened()
        began = time.perf_counter()
        try:
            with db.transaction():
                for (name, base), _, gone in changes:  # first, so that what comes in finds free pages
                    for first, last in gone:
                        here.delete(name, first - base, last - base)
                for (name, base), readings, _ in changes:
                    for first, run in readings:
                        here.insert(name, first - base, run)
        except BaseException:
            self._forget(here)
            raise
        took_s = time.perf_counter() - began
        pages = db.value("PRAGMA page_count") - db.value("PRAGMA freelist_count")
        return Committed(took_s, pages * db.value("PRAGMA page_size"))

    def load(self, place: Place, first: int, end: int, limit: int, max_bytes: int) -> Loaded:
        """Read readings of a lane, from the id `first` up to, not including, `end`."""
        name, base = place
        good, damaged, after = self._opened()[1].fetch(name, first - base, end - base, limit, max_bytes)
        pairs = [(id + base, reading) for id, reading in good]
        return Loaded(pairs, [id + base for id in damaged], after + base)

    def close(self) -> None:
        """Let go of the database."""
        db, self._db, self._tables = self._db, None, None
        if db is not None:
            db.close()

    def _forget(self, here: Tables) -> None:
        """Nothing of a transaction that failed may be remembered."""
        try:
            here.load()
        except DiskError:
            self.close()

    def _opened(self) -> tuple[Database, Tables]:
        if self._db is None or self._tables is None:
            raise DiskError("failing", "the database is not open", self._path.parent)
        return self._db, self._tables

    def _open(self) -> Opened:
        db = self._db = Database(self._path)
        version = db.value("PRAGMA user_version")
        aside: Path | None = None
        if version > tables.SCHEMA:
            self.close()
            aside = set_aside.set_aside(self._path, "newer", self._wall())
            db = self._db = Database(self._path)
        if version == 0 or aside:
            # A file that has tables and no version is not whole: making them again fails, as damaged.
            with db.transaction():
                tables.create(db)
                tables.stamp(db)
        # Damage to the trees is found now, and not by rows that turn up twice or vanish: 0.1 s for a million.
        elif (verdict := db.value("PRAGMA quick_check(1)")) != "ok":
            raise DiskError("damaged", str(verdict), self._path.parent)
        here = self._tables = Tables(db)
        lanes = {lane: here.extent(lane) for lane in here.numbers}
        if aside:
            why = f"its schema is {version}, of a later release"
            return Opened(None, lanes, set_aside.kept(self._path), aside, why)
        return Opened(here.run, lanes, set_aside.kept(self._path))

    def _replace(self, why: str) -> Opened:
        self.close()
        new = set_aside.replacement(self._path)
        set_aside.discard(new)
        db = Database(new)
        try:
            with db.transaction():
                tables.create(db)
            here = Tables(db)
            salvaged = salvage(self._path, db, here)
            here.keep_run(salvaged.run)
            tables.stamp(db)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            db.close()
        aside = set_aside.set_aside(self._path, "damaged", self._wall())
        set_aside.put_in_place(self._path)
        set_aside.prune(self._path)
        opened = self._open()
        return Opened(salvaged.run or None, opened.lanes, opened.kept, aside, why, salvaged)

    def _finish_replacement(self) -> None:
        """What a power cut left of a replacement: if it is whole it takes its place, else it is removed."""
        new = set_aside.replacement(self._path)
        if not new.exists():
            return
        try:
            db = Database(new)
            try:
                whole = db.value("PRAGMA user_version") == tables.SCHEMA
            finally:
                db.close()
        except DiskError:
            whole = False
        if not whole:
            set_aside.discard(new)
            return
        if self._path.exists():
            set_aside.set_aside(self._path, "damaged", self._wall())
        set_aside.put_in_place(self._path)
