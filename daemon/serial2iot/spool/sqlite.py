"""The durable spool: in memory while the cloud keeps up, in SQLite where it does not.

What a crash or a power cut can lose: readings that came less than `commit_after_s` plus one commit before it
and were not acknowledged. What it can double: readings that were acknowledged since the last commit. Rules:

1. When the oldest unacknowledged reading that is not on the disk is `commit_after_s` old, all such readings
   are committed in one group. 0: at once, and `peek` hands them out only after that, while the disk works.
2. Removing what was acknowledged after it reached the disk waits for the next commit, or `commit_after_s`.
3. When a quarter of `memory_max_bytes` is in use, what can be is committed early. After a commit only what
   the publisher needs next stays in memory; the rest is read back in pieces, ahead of it.
4. `max_bytes` bounds everything that waits, `memory_max_bytes` what is in memory: the second drops readings
   only where the disk is too slow or does not work.
5. The loop never waits for the disk: one task (`run`) asks one thread (`Worker`), one thing at a time.
6. Whatever the disk does is a state that `status` shows: readings go on being taken in and handed out, and it
   is tried again with a back-off. A damaged database is replaced at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from serial2iot.reading import Reading
from serial2iot.spool.bound import Bound
from serial2iot.spool.condition import Condition
from serial2iot.spool.contract import SpoolOptions, SpoolStatus
from serial2iot.spool.dead_letters import DeadLetters
from serial2iot.spool.disk_error import DiskError
from serial2iot.spool.disk_lane import DiskLane
from serial2iot.spool.keeper import Keeper
from serial2iot.spool.lanes import Lanes
from serial2iot.spool.run_number import RunNumber
from serial2iot.spool.schedule import Schedule

log = structlog.get_logger()

AHEAD = 256 << 10
"""Charge of what is kept in memory ahead of the publisher, of all lanes; Python takes four times as much."""
AHEAD_OF_LANE = 32 << 10
UNMET_FIRST = 1 << 40
"""Where a lane begins to count if the disk cannot be asked: what it holds has its place below that."""
FILE_SHARE = 1.3
"""The file may use this times `max_bytes`. Bodies of just over half a page need more: each fills one."""


class SqliteSpool(Lanes[DiskLane]):
    """A spool on a disk. `clock` is monotonic seconds, `wall` seconds since the epoch."""

    def __init__(
        self,
        options: SpoolOptions,
        *,
        wake: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(wake)
        self._options = options
        self._clock = clock
        self._condition = Condition(clock())
        self._keeper = Keeper(options.path, self._by_name, self._add, wall)
        self._dead_letters = DeadLetters(options.path.parent, wall)
        self._run = RunNumber(0, "clock")
        self._bell = asyncio.Event()
        self._turn: asyncio.Task[None] | None = None
        self._schedule = Schedule(options.commit_after_s)
        self._met = False
        self._first = UNMET_FIRST
        self._disk_bound = Bound[DiskLane](
            "max_bytes",
            options.max_bytes,
            options.when_full,
            weigh=lambda lane: lane.held,
            shed=DiskLane.shed_oldest,
        )
        self._memory_bound = Bound[DiskLane](
            "memory_max_bytes",
            options.memory_max_bytes,
            options.when_full,
            weigh=lambda lane: lane.charge,
            shed=DiskLane.shed_memory,
        )
        self._on_disk = 0  # the charge of what is on the disk only

    # The life of the spool. --------------------------------------------------------------------------------

    async def open(self) -> RunNumber:
        """Find what an earlier run left, and number this run; see the contract."""
        await self._try(self._keeper.attach)
        self._run, failure = await self._keeper.number_run()
        if failure is not None:
            await self._failed(failure)
        self._review()
        return self._run

    async def run(self) -> None:
        """Commit, tidy and load whenever that is due, until cancelled."""
        while True:
            await self._rest(self._pause())
            self._turn = asyncio.create_task(self.turn(), name="spool turn")
            # What the disk has begun must be entered in the books, so cancelling does not reach it.
            await asyncio.shield(self._turn)

    async def close(self, budget_s: float) -> None:
        """Put what is unacknowledged on the disk, what is in flight included; see the contract."""
        try:
            async with asyncio.timeout(budget_s):
                if self._turn is not None:
                    await asyncio.wait([self._turn])
                if not self._keeper.attached:
                    await self._try(self._keeper.attach)
                if not await self._try(self._commit) and self._keeper.attached:
                    await self._try(self._commit)
                await self._keeper.detach()
        except TimeoutError:
            log.warning("spool_close_cut_short", budget_s=budget_s)
        lost = sum(lane.lose_uncommitted("unsaved") for lane in self._by_name.values())
        if lost:
            hint = self._condition.failure.hint if self._condition.failure else "the disk was too slow"
            log.error("readings_lost", readings=lost, hint=hint)
        self._keeper.stop()
        self._dead_letters.stop()

    def status(self) -> SpoolStatus:
        """How the storage is; see the contract."""
        failure, keeper = self._condition.failure, self._keeper
        return SpoolStatus(
            state=self._condition.state,
            error=str(failure or ""),
            hint=failure.hint if failure else "",
            for_s=self._clock() - self._condition.since_s,
            run_from=self._run.source,
            memory=self._memory,
            held=self._memory + self._on_disk,
            file=keeper.used,
            commits=keeper.commits,
            slowest_commit_s=keeper.slowest_commit_s,
            set_aside=keeper.set_aside,
        )

    # Readings. ---------------------------------------------------------------------------------------------

    def peek(self, lane: str, n: int) -> list[tuple[int, Reading]]:
        """Lend readings, and see to it that the next ones are at hand in time."""
        home = self._by_name.get(lane)
        if home is None:
            return []
        lent = home.lend(n)
        if home.wants(self._room):
            self._bell.set()
        return lent

    def _set_aside(self, lane: DiskLane, readings: Sequence[Reading], reason: str) -> None:
        self._dead_letters.keep(lane.place.name, readings, reason)

    def _new_lane(self, name: str, number: int, first: int) -> DiskLane:
        lane = DiskLane(name, number, first, met=self._met)
        lane.restrict(reachable=self._keeper.attached, withheld=self._withholds)
        return lane

    def _taken_in(self, lane: DiskLane, count: int) -> None:
        now = self._clock()
        if lane.mark(count, now, self._schedule.grain_s):
            self._bell.set()
        if self._memory > self._memory_bound.limit // 4:
            self._press()
        self._keep(self._memory_bound, self._memory, lane, count, now)
        self._keep(self._disk_bound, self._memory + self._on_disk, lane, count, now)

    def _settled(self) -> None:
        if self._schedule.note_gone(self._by_name.values(), self._clock()):
            self._bell.set()
        if self._memory_bound.full or self._disk_bound.full:
            self._memory_bound.relax(self._memory, self._clock())
            self._disk_bound.relax(self._memory + self._on_disk, self._clock())

    def _keep(self, bound: Bound[DiskLane], used: int, lane: DiskLane, count: int, now: float) -> None:
        if used > bound.limit:
            self._memory -= bound.keep(self._by_name.values(), lane, count, used - bound.limit, now)

    def _press(self) -> None:
        """Ask for an early commit, if that would help."""
        fresh = sum(lane.fresh for lane in self._by_name.values())
        if not self._schedule.pressed and fresh > self._memory_bound.limit // 8:
            self._schedule.press()
            self._bell.set()

    # The disk. ---------------------------------------------------------------------------------------------

    @property
    def _withholds(self) -> bool:
        return self._options.commit_after_s == 0 and self._condition.failure is None

    @property
    def _room(self) -> int:
        """What each lane may keep at hand."""
        lanes = sum(bool(lane.segments) for lane in self._by_name.values())
        room = max(AHEAD_OF_LANE, AHEAD // max(1, lanes))
        return min(room, self._options.memory_max_bytes // 8)

    async def _rest(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._bell.wait()
        except TimeoutError:
            pass
        self._bell.clear()

    def _pause(self) -> float | None:
        """Seconds until there is something to do; None where only the bell can tell."""
        if self._wanting():
            return 0.0
        due = self._due_at()
        return None if due is None else max(0.0, due - self._clock())

    def _due_at(self) -> float | None:
        """When something is to be written: when it is due, or after a failure when it may be tried again."""
        if self._condition.failure:
            return self._condition.retry_at
        return self._schedule.due_at(self._by_name.values(), self._clock())

    async def turn(self) -> None:
        """Do what is due now. `run` does nothing else; a test that owns the clock calls it itself."""
        await self._try(self._do_due)
        self._review()
        self._wake()

    async def _do_due(self) -> None:
        while True:
            due = self._due_at()
            if due is not None and self._clock() >= due:
                await self._write()
            wanting = self._wanting()
            if not wanting:
                break
            for lane in wanting:
                await self._keeper.load(lane, self._room // 2)
            self._review()
            self._wake()
        self._condition.went_well()

    async def _write(self) -> None:
        if not self._keeper.attached:
            await self._keeper.attach()
        if self._condition.failure:
            await self._keeper.probe()
        await self._commit()
        self._condition.recovered(self._clock())
        self._review()

    def _wanting(self) -> list[DiskLane]:
        """The lanes of which too little is at hand."""
        if not self._keeper.attached or self._condition.state == "damaged":
            return []
        return [lane for lane in self._by_name.values() if lane.wants(self._room)]

    async def _commit(self) -> None:
        self._schedule.begun()
        await self._keeper.commit(self._room)

    async def _try(self, step: Callable[[], Awaitable[None]]) -> bool:
        """Do something with the disk; whether that went well."""
        try:
            await step()
        except DiskError as failure:
            await self._failed(failure)
            return False
        return True

    async def _failed(self, failure: DiskError) -> None:
        """Enter the state that a failure means; a database that is damaged is replaced at once."""
        self._condition.failed(failure, self._clock())
        try:
            if failure.kind == "damaged" or self._condition.unreadable:
                await self._keeper.replace(str(failure))
            elif failure.kind != "disk_full":  # on a full disk what is there can still be read
                await self._keeper.detach()  # lets whoever mends the file system unmount it
        except DiskError as again:
            self._condition.failed(again, self._clock())
            await self._keeper.detach()

    def _review(self) -> None:
        """Bring everything that follows from the state of the disk up to date."""
        lanes = self._by_name.values()
        if self._keeper.attached and not self._met:
            self._met, self._first = True, 1
        for lane in lanes:
            lane.restrict(reachable=self._keeper.attached, withheld=self._withholds)
        self._memory = sum(lane.charge for lane in lanes)
        self._on_disk = sum(lane.on_disk for lane in lanes)
        held, most = self._memory + self._on_disk, self._options.max_bytes
        crowded = self._keeper.used > FILE_SHARE * most
        self._disk_bound.limit = int(held * FILE_SHARE * most / self._keeper.used) if crowded else most
        if lanes:
            newest = next(iter(lanes))
            self._keep(self._disk_bound, held, newest, 0, self._clock())
