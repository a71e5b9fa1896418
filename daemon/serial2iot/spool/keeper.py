"""Moves readings between the lanes and the disk; what it learns there goes into the lanes' books.

Every method that waits may raise DiskError. Nothing is lost by that: lanes are changed only after the disk
has done its part, and a commit whose outcome is unknown is made again (rows are replaced by themselves).
While one method waits, the lanes go on taking readings in and handing them out; two never run at once.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from serial2iot.spool.disk_error import DiskError
from serial2iot.spool.disk_lane import DiskLane
from serial2iot.spool.run_number import RunNumber, next_run
from serial2iot.spool.store import Change, Opened, Store
from serial2iot.spool.tables import Extent
from serial2iot.spool.worker import Worker

log = structlog.get_logger()


class Keeper:
    """The disk's side of the lanes. `lanes` is a live view of them, `add` makes one that was not there."""

    def __init__(
        self,
        path: Path,
        lanes: Mapping[str, DiskLane],
        add: Callable[[str, int], DiskLane],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.attached = False
        self.slowest_commit_s = 0.0
        self.commits = 0
        self.used = 0  # bytes of the file that hold something, as of the last commit
        self.set_aside: tuple[str, ...] = ()
        self._path = path
        self._lanes = lanes
        self._add = add
        self._wall = wall
        self._worker = Worker("spool")
        self._store = Store(path, wall)
        self._run: RunNumber | None = None
        self._last_run: int | None = None
        self._damage_told: set[str] = set()

    async def attach(self) -> None:
        """Open the database and learn what is in it."""
        await self._adopt(await self._worker.call(self._store.open))

    async def replace(self, why: str) -> None:
        """Go on with a new database, and with what could be salvaged from the old one."""
        self.attached = False
        await self._adopt(await self._worker.call(self._store.replace, why))

    async def detach(self) -> None:
        """Let go of a database that does not answer as it should."""
        self.attached = False
        await self._worker.call(self._store.close)

    async def number_run(self) -> tuple[RunNumber, DiskError | None]:
        """The number of this run, kept wherever it can be; and why it could not be kept in the database."""
        run, failure = await self._worker.call(self._number)
        self._run = run
        return run, failure

    async def probe(self) -> None:
        """Write something small, to see whether that works."""
        if self._run:
            await self._worker.call(self._store.keep_run, self._run.number)

    async def commit(self, room: int) -> None:
        """Put on the disk what is not, and remove what is done with; keep `room` bytes a lane in memory."""
        changes: list[Change] = []
        ends: list[tuple[DiskLane, int]] = []
        for lane in self._lanes.values():
            end, readings, gone = lane.end, lane.uncommitted(), lane.gone.take()
            if readings or gone:
                changes.append(Change(lane.place, readings, gone))
                ends.append((lane, end))
        if not changes:
            return
        try:
            committed = await self._worker.call(self._store.commit, changes)
        except BaseException:
            for (lane, _), change in zip(ends, changes, strict=True):
                for first, last in change.gone:
                    lane.gone.add_run(first, last)
            raise
        for lane, end in ends:
            lane.committed(end, room)
        self.used = committed.used
        self.commits += 1
        self.slowest_commit_s = max(self.slowest_commit_s, committed.took_s)
        log.debug("committed", took_s=round(committed.took_s, 4))

    async def load(self, lane: DiskLane, room: int) -> None:
        """Read the next piece of what is on the disk only."""
        segment = lane.segments[0]
        limit = max(1, room // 64)
        loaded = await self._worker.call(
            self._store.load, lane.place, segment.first, segment.end, limit, room
        )
        before = lane.counts.dropped["damaged"]
        lane.loaded(loaded)
        self._tell_damage(lane, lane.counts.dropped["damaged"] - before)

    def stop(self) -> None:
        """Let the thread end, once it has done what it was asked."""
        self._worker.stop()

    def _number(self) -> tuple[RunNumber, DiskError | None]:
        run = next_run(self._path.parent, self._last_run if self.attached else None, self._wall())
        if not self.attached:
            return run, None
        try:
            self._store.keep_run(run.number)
        except DiskError as failure:
            if run.source == "database":
                run = next_run(self._path.parent, None, self._wall())
            return run, failure
        return run, None

    async def _adopt(self, opened: Opened) -> None:
        if opened.aside is not None:
            salvaged = opened.salvaged.readings if opened.salvaged else None
            hint = (
                "readings that were not salvaged are lost" if opened.salvaged else "nothing in it was changed"
            )
            log.error("spool_set_aside", file=opened.aside.name, why=opened.why, salvaged=salvaged, hint=hint)
        for lane in [lane for lane in self._lanes.values() if lane.met]:
            lane.recount([await self._extent(lane, part.first, part.end) for part in lane.segments])
        damaged = opened.salvaged.damaged if opened.salvaged else Counter[str]()
        for name in opened.lanes.keys() | damaged.keys():
            await self._meet(name, opened.lanes.get(name, Extent(1, 1, 0, 0)), damaged[name])
        for lane in self._lanes.values():
            lane.met = True
        self._last_run, self.set_aside = opened.run, opened.kept
        if self._run is not None:
            await self.probe()
        self.attached = True

    async def _meet(self, name: str, stored: Extent, damaged: int) -> None:
        """Take over what an earlier run left in a lane, unless this was done before."""
        lane = self._lanes.get(name)
        if (lane is not None and lane.met) or not (stored.rows or damaged):
            return
        if lane is None:
            lane = self._add(name, stored.end)
        base = lane.place.base
        extent = stored._replace(first=stored.first + base, end=stored.end + base)
        if extent.end > lane.first:
            await self._worker.call(self._store.move_below, lane.place, lane.first)
            extent = extent._replace(first=lane.first - extent.rows, end=lane.first)
        lane.carry(extent, damaged)

    async def _extent(self, lane: DiskLane, first: int, end: int) -> Extent:
        return await self._worker.call(self._store.extent, lane.place, first, end)

    def _tell_damage(self, lane: DiskLane, readings: int) -> None:
        """Say that rows were damaged when it begins, not for every piece of a long row of them."""
        name = lane.place.name
        if not readings:
            self._damage_told.discard(name)
        elif name not in self._damage_told:
            self._damage_told.add(name)
            hint = "their checksums were wrong, so they were dropped; a failing SD card is the usual cause"
            log.error("readings_damaged", port=name, readings=readings, hint=hint)
