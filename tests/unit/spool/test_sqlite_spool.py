"""When the durable spool writes, what it keeps in memory, and how it goes on when the disk does not.

The tests own the clock and let the disk side act by `turn`, as `run` does.
"""

import asyncio
import contextlib
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from serial2iot.reading import Reading, Stamp
from serial2iot.spool import keeper
from serial2iot.spool.contract import ROW_OVERHEAD, SpoolOptions
from serial2iot.spool.disk_error import DiskError
from serial2iot.spool.sqlite import SqliteSpool
from serial2iot.spool.store import Loaded, Store

A_LANE = "arduino"
STAMP = Stamp(1_763_856_000_000, 1_000, "boot", True)
BODY = b'{"t":23.45,"h":55.1,"soil":12}'


class Bench:
    """Makes spools on one path, with one clock."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "spool.db"
        self.now = 100.0
        self.spools: list[SqliteSpool] = []
        self.woken = 0

    async def open(self, **options: Any) -> SqliteSpool:
        spool = SqliteSpool(SpoolOptions(self.path, **options), wake=self._wake, clock=lambda: self.now)
        self.spools.append(spool)
        await spool.open()
        return spool

    def _wake(self) -> None:
        self.woken += 1

    async def later(self, spool: SqliteSpool, seconds: float) -> None:
        self.now += seconds
        await spool.turn()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    for spool in bench.spools:
        await spool.close(5.0)


def readings(first: int, count: int, body: bytes = BODY) -> list[Reading]:
    return [Reading(1, seq, STAMP, body) for seq in range(first, first + count)]


def seqs(lent: list[tuple[int, Reading]]) -> list[int]:
    return [reading.seq for _, reading in lent]


def ids(lent: list[tuple[int, Reading]]) -> list[int]:
    return [id for id, _ in lent]


async def take_all(spool: SqliteSpool, lane: str = A_LANE) -> list[int]:
    """Acknowledge everything there is, as the disk brings it."""
    taken: list[int] = []
    while spool.lanes()[lane].waiting:
        lent = spool.peek(lane, 500)
        taken += seqs(lent)
        spool.ack(ids(lent))
        await spool.turn()
    return taken


# When it writes. -------------------------------------------------------------------------------------------


async def test_a_healthy_day_writes_nothing(bench: Bench) -> None:
    spool = await bench.open()
    files = {file: file.stat().st_mtime_ns for file in bench.path.parent.iterdir()}
    for first in range(1, 1000, 10):
        spool.append(A_LANE, *readings(first, 10))
        await bench.later(spool, 2.0)
        spool.ack(ids(spool.peek(A_LANE, 10)))
        await bench.later(spool, 8.0)
    assert spool.status().commits == 0
    assert {file: file.stat().st_mtime_ns for file in bench.path.parent.iterdir()} == files


async def test_commits_in_one_group_what_is_unacknowledged_when_the_oldest_is_old_enough(
    bench: Bench,
) -> None:
    spool = await bench.open(commit_after_s=3.0)
    spool.append(A_LANE, *readings(1, 5))
    await bench.later(spool, 1.0)
    spool.append("meter", *readings(1, 5))
    spool.ack(ids(spool.peek(A_LANE, 2)))
    spool.peek(A_LANE, 1)  # in flight is not acknowledged
    await bench.later(spool, 1.9)
    assert spool.status().commits == 0
    await bench.later(spool, 0.1)
    assert spool.status().commits == 1
    await bench.later(spool, 100.0)
    assert spool.status().commits == 1, "once is enough"
    assert rows_on_disk(bench.path) == {A_LANE: 3, "meter": 5}


def rows_on_disk(path: Path) -> dict[str, int]:
    """What a crash would leave, read from a copy of the files."""
    copy = path.with_name("copy")
    for suffix in ("", "-wal"):
        copy.with_name(copy.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
    database = sqlite3.connect(copy)
    try:
        lanes = database.execute("SELECT number, name FROM lane").fetchall()
        return {
            name: database.execute(f"SELECT count(*) FROM lane_{number}").fetchone()[0]
            for number, name in lanes
        }
    finally:
        database.close()


async def test_acknowledged_readings_leave_the_disk_with_the_next_commit_or_soon(bench: Bench) -> None:
    spool = await bench.open(commit_after_s=3.0)
    spool.append(A_LANE, *readings(1, 10))
    await bench.later(spool, 3.0)
    spool.ack(ids(spool.peek(A_LANE, 6)))
    await bench.later(spool, 2.9)
    assert rows_on_disk(bench.path) == {A_LANE: 10}
    await bench.later(spool, 0.1)
    assert rows_on_disk(bench.path) == {A_LANE: 4}
    assert spool.status().commits == 2


async def test_zero_means_on_the_disk_before_it_is_handed_out(bench: Bench) -> None:
    spool = await bench.open(commit_after_s=0.0)
    spool.append(A_LANE, *readings(1, 3))
    spool.append(A_LANE, *readings(4, 3))
    assert spool.peek(A_LANE, 9) == []
    assert spool.ready(A_LANE).readings == 0
    before = bench.woken
    await spool.turn()
    assert bench.woken > before
    assert rows_on_disk(bench.path) == {A_LANE: 6}
    assert spool.status().commits == 1, "together"
    assert seqs(spool.peek(A_LANE, 9)) == [1, 2, 3, 4, 5, 6]


async def test_run_does_it_all_by_itself(bench: Bench) -> None:
    changed = asyncio.Event()
    spool = SqliteSpool(SpoolOptions(bench.path, commit_after_s=0.0), wake=changed.set)
    await spool.open()
    keeping = asyncio.create_task(spool.run())
    for first in (1, 11, 21):
        spool.append(A_LANE, *readings(first, 10))
        async with asyncio.timeout(5):
            while not (lent := spool.peek(A_LANE, 10)):
                changed.clear()
                await changed.wait()
        assert seqs(lent) == list(range(first, first + 10))
    keeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeping
    await spool.close(5.0)


# What it keeps in memory. ----------------------------------------------------------------------------------


async def test_little_memory_left_commits_early_and_nothing_is_dropped(bench: Bench) -> None:
    spool = await bench.open(memory_max_bytes=100_000)
    for first in range(1, 10_001, 100):
        spool.append(A_LANE, *readings(first, 100))
        await spool.turn()
    status = spool.status()
    assert status.commits > 10
    assert status.memory < 50_000
    assert status.held == 10_000 * (len(BODY) + ROW_OVERHEAD)
    assert await take_all(spool) == list(range(1, 10_001))
    assert spool.lanes()[A_LANE].dropped == {}


async def test_what_does_not_fit_while_the_disk_is_slow_is_dropped_and_counted(bench: Bench) -> None:
    spool = await bench.open(memory_max_bytes=94_000)
    for first in range(1, 2_001, 100):
        spool.append(A_LANE, *readings(first, 100))  # the disk does nothing meanwhile
    counts = spool.lanes()[A_LANE]
    assert counts.dropped == {"full": 1000}
    assert await take_all(spool) == list(range(1001, 2001))


# The bound on the disk. ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10, 300, 2010, 2100, 5000])
async def test_the_file_stays_below_one_and_a_half_times_its_bound(bench: Bench, size: int) -> None:
    bound = 1 << 20
    spool = await bench.open(max_bytes=bound, memory_max_bytes=400_000)
    per_turn = max(1, 50_000 // (size + ROW_OVERHEAD))
    total = 4 * bound // (size + ROW_OVERHEAD)
    largest = 0
    for first in range(1, total, per_turn):
        spool.append(A_LANE, *readings(first, per_turn, bytes(size)))
        await bench.later(spool, 3.0)
        await spool.turn()
        largest = max(largest, bench.path.stat().st_size)
    last = first + per_turn - 1
    assert largest < 1.5 * bound
    assert spool.status().held <= bound
    counts = spool.lanes()[A_LANE]
    assert counts.dropped["full"] > total // 2
    left = await take_all(spool)
    assert left == list(range(last - len(left) + 1, last + 1)), "the oldest were dropped, and no other"
    assert len(left) * (size + ROW_OVERHEAD) > bound * 0.6
    assert counts.balanced


async def test_a_refused_lane_on_the_disk_cannot_empty_a_quiet_one(bench: Bench) -> None:
    spool = await bench.open(max_bytes=200_000, memory_max_bytes=400_000)
    spool.append("quiet", *readings(1, 100))
    for first in range(1, 20_001, 200):
        spool.append("refused", *readings(first, 200))
        await bench.later(spool, 3.0)
        await spool.turn()
    assert spool.lanes()["quiet"].dropped == {}
    assert await take_all(spool, "quiet") == list(range(1, 101))
    assert spool.lanes()["refused"].dropped["full"] > 10_000


async def test_drop_newest_keeps_what_is_on_the_disk(bench: Bench) -> None:
    spool = await bench.open(max_bytes=94_000, when_full="drop-newest")
    for first in range(1, 3_001, 100):
        spool.append(A_LANE, *readings(first, 100))
        await bench.later(spool, 3.0)
    assert spool.lanes()[A_LANE].dropped == {"full": 2000}
    assert await take_all(spool) == list(range(1, 1001))


async def test_full_is_told_when_it_begins_and_when_it_ends(bench: Bench) -> None:
    spool = await bench.open(max_bytes=94_000)
    with structlog.testing.capture_logs() as told:
        for first in range(1, 3_001, 100):
            spool.append(A_LANE, *readings(first, 100))
            bench.now += 1.0
        await take_all(spool)
    events = [(event["event"], event.get("dropped")) for event in told if event["event"] != "committed"]
    assert events == [("spool_full", None), ("spool_has_room", 2000)]
    assert "buffer.max_bytes" in told[0]["hint"]


# From run to run. ------------------------------------------------------------------------------------------


async def test_everything_is_on_the_disk_after_a_clean_stop_and_found_by_the_next_run(bench: Bench) -> None:
    spool = await bench.open()
    spool.append(A_LANE, *readings(1, 10))
    spool.append("no longer configured", *readings(1, 2))
    lent = spool.peek(A_LANE, 6)
    spool.ack(ids(lent)[:2])
    await spool.close(5.0)
    spool = await bench.open()
    counts = spool.lanes()
    assert {lane: books.carried_over for lane, books in counts.items()} == {
        A_LANE: 8,
        "no longer configured": 2,
    }
    await spool.turn()
    assert seqs(spool.peek(A_LANE, 99)) == [3, 4, 5, 6, 7, 8, 9, 10]
    assert seqs(spool.peek("no longer configured", 99)) == [1, 2]


async def test_what_is_carried_over_goes_first(bench: Bench) -> None:
    spool = await bench.open()
    spool.append(A_LANE, *readings(1, 3))
    await spool.close(5.0)
    spool = await bench.open()
    spool.append(A_LANE, *readings(4, 3))
    assert spool.peek(A_LANE, 9) == [], "the disk has not answered yet, and order is kept"
    await spool.turn()
    assert seqs(spool.peek(A_LANE, 9)) == [1, 2, 3, 4, 5, 6]


async def test_stamps_come_back_as_they_were(bench: Bench) -> None:
    """Also those of a clock that was in 1970, was set, and jumped back."""
    spool = await bench.open()
    stamps = [
        Stamp(35_000, 35_000, "boot-1", False),
        Stamp(36_000, 36_000, "boot-1", False),
        Stamp(1_763_856_000_000, 37_000, "boot-1", False),
        Stamp(1_763_856_001_000, 38_000, "boot-1", True),
        Stamp(39_000, 39_000, "boot-1", False),
        Stamp(1_763_856_000_000, 12_345_678_901, "boot-2", True),
    ]
    kept = [Reading(run, 1 << 40, stamp, b"x") for run, stamp in enumerate(stamps, 1)]
    spool.append(A_LANE, *kept)
    await spool.close(5.0)
    spool = await bench.open()
    await spool.turn()
    assert [reading for _, reading in spool.peek(A_LANE, 9)] == kept


async def test_the_run_outlives_the_loss_of_either_of_its_places(bench: Bench) -> None:
    numbers = []
    for lost in ("nothing", "run", "spool.db", "nothing"):
        bench.path.with_name(lost).unlink(missing_ok=True)
        spool = SqliteSpool(SpoolOptions(bench.path))
        numbers.append(await spool.open())
        await spool.close(5.0)
    assert [number for number, _ in numbers] == [1, 2, 3, 4]
    assert {source for _, source in numbers} == {"file"}


async def test_a_stop_on_a_disk_that_does_not_work_says_what_is_lost(bench: Bench) -> None:
    bench.path.mkdir()  # no file can be made there
    spool = await bench.open()
    spool.append(A_LANE, *readings(1, 7))
    with structlog.testing.capture_logs() as told:
        await spool.close(5.0)
    lost = [event for event in told if event["event"] == "readings_lost"]
    assert [(event["readings"], event["log_level"]) for event in lost] == [(7, "error")]
    counts = spool.lanes()[A_LANE]
    assert counts.dropped == {"unsaved": 7}
    assert counts.balanced


async def test_a_stop_keeps_within_its_budget_when_the_disk_hangs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang = HangingWorker("spool")
    monkeypatch.setattr(keeper, "Worker", lambda _: hang)
    spool = await bench.open()
    spool.append(A_LANE, *readings(1, 7))
    hang.hanging = True
    async with asyncio.timeout(2.0):
        await spool.close(0.05)
    assert spool.lanes()[A_LANE].dropped == {"unsaved": 7}
    bench.spools.clear()
    vars(spool._keeper._store).clear()  # a hung disk keeps its files open; this test does not


class HangingWorker(keeper.Worker):
    """A thread that at some moment waits for ever."""

    hanging = False

    def call(self, job: Any, *arguments: Any) -> Any:
        return asyncio.get_running_loop().create_future() if self.hanging else super().call(job, *arguments)


# When the disk does not do as it is told. ------------------------------------------------------------------


async def test_a_database_that_another_process_holds_is_waited_for(bench: Bench) -> None:
    spool = await bench.open()
    spool.append(A_LANE, *readings(1, 3))
    await spool.close(5.0)
    other = sqlite3.connect(bench.path)
    other.execute("BEGIN IMMEDIATE")
    spool = await bench.open()
    assert spool.status().state == "busy"
    spool.append(A_LANE, *readings(4, 3))
    assert seqs(spool.peek(A_LANE, 1)) == [4], "it goes on with what it has"
    other.close()
    await bench.later(spool, 30.0)
    assert spool.status().state == "healthy"
    assert spool.lanes()[A_LANE].carried_over == 3
    await spool.turn()
    assert seqs(spool.peek(A_LANE, 9)) == [1, 2, 3, 5, 6]


async def test_failing_is_told_at_its_edges_only(bench: Bench) -> None:
    with structlog.testing.capture_logs() as told:
        bench.path.mkdir()
        spool = await bench.open()
        spool.append(A_LANE, *readings(1, 3))
        for _ in range(10):
            await bench.later(spool, 30.0)
        bench.path.rmdir()
        await bench.later(spool, 30.0)
    loud = [(event["event"], event["log_level"]) for event in told if event["log_level"] != "debug"]
    assert loud == [("spool_storage_failed", "warning"), ("spool_storage_recovered", "info")]
    assert rows_on_disk(bench.path) == {A_LANE: 3}


async def test_damage_while_it_runs_costs_what_was_damaged(bench: Bench) -> None:
    spool = await bench.open()
    for first in range(1, 20_001, 1000):
        spool.append(A_LANE, *readings(first, 1000))
        await bench.later(spool, 3.0)
    in_flight = spool.peek(A_LANE, 100)
    with bench.path.open("r+b") as file:
        for page in range(100, 120):
            file.seek(page * 4096)
            file.write(bytes(4096))
    with structlog.testing.capture_logs() as told:
        spool.append(A_LANE, *readings(20_001, 100))
        spool.release(ids(in_flight))
        taken: list[int] = []
        for _ in range(200):
            lent = spool.peek(A_LANE, 500)
            taken += seqs(lent)
            spool.ack(ids(lent))
            await bench.later(spool, 1.0)
    assert taken == sorted(set(taken)), "in order, none twice"
    assert taken[:100] == list(range(1, 101))
    assert taken[-100:] == list(range(20_001, 20_101))
    counts = spool.lanes()[A_LANE]
    assert counts.waiting == 0
    assert counts.dropped == {"damaged": 20_100 - len(taken)}
    assert 20 * 50 < counts.dropped["damaged"] < 20 * 80
    assert spool.status().state == "healthy"
    assert Counter(event["event"] for event in told)["spool_set_aside"] == 1
    assert len(spool.status().set_aside) == 1


async def test_what_a_device_cannot_read_three_times_is_given_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = await bench.open(memory_max_bytes=50_000)
    spool.append(A_LANE, *readings(1, 400))
    await bench.later(spool, 3.0)
    tries: list[str] = []
    monkeypatch.setattr(Store, "load", bad_sector(tries, Store.load))
    taken = []
    for _ in range(12):
        lent = spool.peek(A_LANE, 500)
        taken += seqs(lent)
        spool.ack(ids(lent))
        await bench.later(spool, 30.0)
    assert len(tries) == 3
    assert taken == list(range(1, 401)), "this one could be salvaged whole"
    assert len(spool.status().set_aside) == 1


def bad_sector(tries: list[str], load: Callable[..., Loaded]) -> Callable[..., Loaded]:
    """Reading fails until the file was replaced."""

    def fail(store: Store, *arguments: Any) -> Loaded:
        if not list(store._path.parent.glob("*.damaged-*")):
            tries.append("read")
            raise DiskError("failing", "disk I/O error", store._path.parent, io=True)
        return load(store, *arguments)

    return fail


async def test_rows_with_a_wrong_checksum_are_dropped_and_told_once(bench: Bench) -> None:
    spool = await bench.open()
    spool.append(A_LANE, *[reading._replace(body=b"%030d" % reading.seq) for reading in readings(1, 5000)])
    await spool.close(5.0)
    data = bench.path.read_bytes()
    for seq in range(100, 200):
        at = data.index(b"%030d" % seq)
        data = data[:at] + b"1" + data[at + 1 :]
    bench.path.write_bytes(data)
    with structlog.testing.capture_logs() as told:
        spool = await bench.open()
        assert await take_all(spool) == [*range(1, 100), *range(200, 5001)]
    counts = spool.lanes()[A_LANE]
    assert counts.dropped == {"damaged": 100}
    assert counts.balanced
    assert [event["event"] for event in told] == ["readings_damaged"]
    await spool.close(5.0)
    spool = await bench.open()
    assert spool.lanes() == {}, "they are gone from the disk as well"
