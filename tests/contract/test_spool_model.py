"""Any order of appending, lending, settling, committing, crashing and reopening, against plain lists.

A crash is what a SIGKILL leaves: the files as they are at that moment, opened by another spool. The thread
that waits for the disk is replaced by one that moves when a rule says so: the disk does something, later the
loop hears of it, and before, between and after these moments any other rule may act.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from serial2iot.reading import Reading, Stamp
from serial2iot.spool import keeper, sqlite
from serial2iot.spool.condition import RETRY_S
from serial2iot.spool.contract import SpoolOptions
from serial2iot.spool.disk_error import DiskError, Kind
from serial2iot.spool.memory import MemorySpool
from serial2iot.spool.sqlite import SqliteSpool
from serial2iot.spool.store import Place

LANES = ("a", "b")
COMMIT_AFTER_S = 3.0
MEMORY = Path("/dev/shm")  # nothing here asks whether the disk keeps its word; tests/crash does
Lists = dict[str, list[Reading]]


def copy(lists: Lists) -> Lists:
    return {lane: list(readings) for lane, readings in lists.items()}


class SteppedWorker:
    """In place of the thread: `work` does the next job, `answer` says what came of it."""

    def __init__(self, name: str) -> None:
        self.stepped = False
        self.job: Callable[[], object] | None = None
        self.job_name = ""
        self.result: object = None
        self.future: asyncio.Future[Any]

    def call(self, job: Callable[..., object], *arguments: object) -> asyncio.Future[Any]:
        self.future = asyncio.get_running_loop().create_future()
        self.job, self.job_name = lambda: job(*arguments), job.__name__
        if not self.stepped:
            self.work()
            self.answer()
        return self.future

    def work(self) -> None:
        assert self.job is not None
        self.result, self.job = self.job(), None

    def answer(self) -> None:
        self.future.set_result(self.result)

    def fail(self, kind: Kind) -> None:
        self.job = None
        self.future.set_exception(DiskError(kind, "as the test wants it", Path()))

    def stop(self) -> None:
        assert self.job is None


class SpoolModel(RuleBasedStateMachine):
    """What every implementation has to do. `waiting` holds what is not in flight, `lent` what is."""

    durable = False
    commit_after_s = COMMIT_AFTER_S

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.root = Path(tempfile.mkdtemp(prefix="spool-model-", dir=MEMORY if MEMORY.is_dir() else None))
        self.generation = self.seq = self.run = 0
        self.now = 0.0
        self.waiting: Lists = {lane: [] for lane in LANES}
        self.lent: dict[int, tuple[str, Reading]] = {}
        self.on_disk: Lists = {lane: [] for lane in LANES}  # what a crash leaves
        self.turning: asyncio.Task[None] | None = None

    def make(self, path: Path) -> MemorySpool | SqliteSpool:
        raise NotImplementedError

    @initialize()
    def open(self) -> None:
        self.directory = self.root / str(self.generation)
        self.directory.mkdir(exist_ok=True)
        self.spool = self.make(self.directory / "spool.db")
        run = self.loop.run_until_complete(self.spool.open())
        assert run.number > self.run
        self.run = run.number

    @rule(lane=st.sampled_from(LANES), count=st.integers(1, 40), size=st.sampled_from((0, 10, 300, 5000)))
    def append(self, lane: str, count: int, size: int) -> None:
        new = []
        for _ in range(count):
            self.seq += 1
            stamp = Stamp(1_763_856_000_000 + self.seq, self.seq, f"boot{self.run}", self.seq % 2 == 0)
            new.append(Reading(self.run, self.seq, stamp, self.seq.to_bytes(4, "big") + bytes(size)))
        self.spool.append(lane, *new)
        self.waiting[lane] += new
        self.now += 0.25

    @rule(lane=st.sampled_from(LANES), n=st.integers(0, 60))
    def peek(self, lane: str, n: int) -> None:
        ready = self.spool.ready(lane)
        lent = self.spool.peek(lane, n)
        readings = [reading for _, reading in lent]
        expected = self.waiting[lane][: len(lent)]
        if not self.reachable:  # what cannot be read is passed over
            expected = [reading for reading in self.waiting[lane] if reading in readings]
        assert readings == expected, "the oldest, in order, as they were appended"
        assert len(lent) == min(n, ready.readings)
        assert not any(id in self.lent for id, _ in lent)
        self.lent.update({id: (lane, reading) for id, reading in lent})
        self.waiting[lane] = [reading for reading in self.waiting[lane] if reading not in readings]
        self.may_be_lent(lane, readings)

    reachable = True

    def may_be_lent(self, lane: str, readings: list[Reading]) -> None:
        """Whether these could be handed out already."""

    def some(self, data: st.DataObject) -> list[int]:
        return data.draw(st.lists(st.sampled_from(sorted(self.lent)), unique=True, max_size=40))

    @precondition(lambda self: self.lent)
    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        ids = self.some(data)
        self.spool.ack(ids)
        for id in ids:
            del self.lent[id]

    @precondition(lambda self: self.lent)
    @rule()
    def ack_all(self) -> None:
        self.spool.ack(self.lent)
        self.lent.clear()

    @precondition(lambda self: self.lent)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        ids = self.some(data)
        self.spool.drop(ids, "poison")
        for id in ids:
            del self.lent[id]

    @precondition(lambda self: self.lent)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        ids = self.some(data)
        self.spool.release(ids)
        for id in ids:
            lane, reading = self.lent.pop(id)
            self.waiting[lane] = sorted([*self.waiting[lane], reading], key=lambda r: r.seq)

    def unacknowledged(self) -> Lists:
        lists = {lane: list(readings) for lane, readings in self.waiting.items()}
        for lane, reading in self.lent.values():
            lists[lane].append(reading)
        return {lane: sorted(readings, key=lambda r: r.seq) for lane, readings in lists.items()}

    @rule()
    def reopen(self) -> None:
        self.finish_turn()
        kept = self.unacknowledged() if self.durable else {lane: [] for lane in LANES}
        self.loop.run_until_complete(self.spool.close(10.0))
        self.start_again(kept)

    @rule()
    def crash(self) -> None:
        self.generation += 1
        left = self.on_disk
        shutil.copytree(self.directory, self.root / str(self.generation))
        self.finish_turn()
        self.loop.run_until_complete(self.spool.close(10.0))
        self.start_again({lane: [] for lane in LANES})
        assert {lane: self.look(lane) for lane in LANES} == left
        self.waiting, self.on_disk = left, copy(left)

    def start_again(self, kept: Lists) -> None:
        self.lent.clear()
        self.waiting, self.on_disk = kept, copy(kept)
        self.open()

    def look(self, lane: str) -> list[Reading]:
        """Everything in a lane, lent and put back."""
        lent = []
        self.load()
        while piece := self.spool.peek(lane, 1000):
            lent += piece
            self.load()
        self.spool.release(id for id, _ in lent)
        return [reading for _, reading in lent]

    def load(self) -> None:
        """Bring the next readings from the disk."""

    def finish_turn(self) -> None:
        """Wait for what the disk side is doing."""

    @invariant()
    def books_balance(self) -> None:
        if not hasattr(self, "spool"):
            return
        for lane, counts in self.spool.lanes().items():
            assert counts.balanced
            held = sum(1 for owner, _ in self.lent.values() if owner == lane) + len(self.waiting[lane])
            assert counts.waiting == held
        empty = [lane for lane in LANES if lane not in self.spool.lanes()]
        assert not any(self.waiting[lane] for lane in empty)

    def teardown(self) -> None:
        try:
            self.finish_turn()
            if hasattr(self, "spool"):
                self.loop.run_until_complete(self.spool.close(10.0))
        finally:
            self.loop.close()
            shutil.rmtree(self.root)


class MemoryModel(SpoolModel):
    def make(self, path: Path) -> MemorySpool:
        return MemorySpool(SpoolOptions(path=path))


class SqliteModel(SpoolModel):
    durable = True

    def make(self, path: Path) -> SqliteSpool:
        return SqliteSpool(SpoolOptions(path, commit_after_s=self.commit_after_s), clock=lambda: self.now)

    @property
    def worker(self) -> SteppedWorker:
        return cast(SteppedWorker, self.spool._keeper._worker)

    @precondition(lambda self: self.turning is None)
    @rule(wait=st.sampled_from((0.0, 1.0, COMMIT_AFTER_S, RETRY_S[1])))
    def begin_turn(self, wait: float) -> None:
        self.now += wait
        self.worker.stepped = True
        self.turning = self.loop.create_task(self.spool.turn())
        self.let_loop_run()

    @precondition(lambda self: self.turning is not None and self.worker.job is not None)
    @rule()
    def disk_works(self) -> None:
        self.worker.work()
        if self.worker.job_name == "commit":
            self.on_disk = self.taken
            assert self.stored() == self.on_disk

    @precondition(lambda self: self.turning is not None and self.worker.job is None)
    @rule()
    def disk_answers(self) -> None:
        self.worker.answer()
        self.let_loop_run()

    @precondition(lambda self: self.turning is not None and self.worker.job is not None)
    @rule(kind=st.sampled_from(("disk_full", "read_only", "failing", "damaged")), done=st.booleans())
    def disk_fails(self, kind: Kind, done: bool) -> None:
        """It says so; where `done` it had done it nevertheless."""
        if self.worker.job_name == "close":
            return
        if done:
            self.disk_works()
        self.worker.fail(kind)
        self.let_loop_run()

    @property
    def reachable(self) -> bool:
        return self.spool._keeper.attached

    @precondition(lambda self: self.turning is None)
    @rule(lane=st.sampled_from(LANES), then=st.integers(1, 40))
    def outgrow_memory(self, lane: str, then: int) -> None:
        """More than is kept at hand, on the disk; and some that came since."""
        self.append(lane, 40, 10)
        self.commits_in_time()
        self.append(lane, then, 10)

    @precondition(lambda self: self.turning is None)
    @rule()
    def commits_in_time(self) -> None:
        self.begin_turn(RETRY_S[1])
        self.finish_turn()
        assert self.spool.status().state == "healthy"
        assert self.on_disk == self.unacknowledged()

    def stored(self) -> Lists:
        """What the database holds, asked past the spool."""
        keeper, lists = self.spool._keeper, Lists()
        for name in LANES:
            place = Place(name, 0)
            known = name in keeper._store._tables.numbers
            loaded = keeper._store.load(place, 0, 1 << 48, 1 << 20, 1 << 30) if known else None
            lists[name] = [reading for _, reading in loaded.pairs] if loaded else []
        return lists

    def let_loop_run(self) -> None:
        """Until the turn waits for the disk, or is over."""
        assert self.turning is not None
        before, turning = self.worker.future, self.turning
        for _ in range(100):
            if turning.done() or (self.worker.future is not before and self.worker.job is not None):
                break
            self.loop.run_until_complete(asyncio.sleep(0))
        if turning.done():
            self.turning, self.worker.stepped = None, False
            turning.result()
        elif self.worker.job_name == "commit":
            self.taken = self.unacknowledged()

    def finish_turn(self) -> None:
        while self.turning is not None:
            if self.worker.job is not None:
                self.disk_works()
            self.disk_answers()

    def load(self) -> None:
        self.loop.run_until_complete(self.spool.turn())


class CautiousModel(SqliteModel):
    """`commit_after_s = 0`: on the disk before it is handed out."""

    commit_after_s = 0.0

    def may_be_lent(self, lane: str, readings: list[Reading]) -> None:
        if self.spool.status().state == "healthy":
            assert all(reading in self.on_disk[lane] for reading in readings)


@pytest.mark.parametrize("model", [MemoryModel, SqliteModel, CautiousModel], ids=lambda model: model.__name__)
@pytest.mark.parametrize(
    "examples", [40, pytest.param(300, marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
def test_any_history(model: type[SpoolModel], examples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # So little is kept at hand that readings leave the memory and come back in pieces.
    monkeypatch.setattr(keeper, "Worker", SteppedWorker)
    monkeypatch.setattr(sqlite, "AHEAD", 2_000)
    monkeypatch.setattr(sqlite, "AHEAD_OF_LANE", 1_000)
    checks = settings(
        max_examples=examples,
        stateful_step_count=60,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    case = model.TestCase()
    case.settings = checks
    case.runTest()
