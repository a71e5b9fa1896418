"""Full, read-only and failing disks: the spool goes on, says so, and recovers without a restart."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from serial2iot.reading import Reading, Stamp
from serial2iot.spool import condition
from serial2iot.spool.contract import SpoolOptions
from serial2iot.spool.sqlite import SqliteSpool
from tests.crash.disks import LoopDisk, remount, set_attribute, why_no_disks
from tests.crash.reading_back import read_back

LANE = "arduino"
STAMP = Stamp(1_763_856_000_000, 1_000, "boot", True)


@pytest.fixture(scope="module", autouse=True)
def needs_disks(tmp_path_factory: pytest.TempPathFactory) -> None:
    if reason := why_no_disks(tmp_path_factory.mktemp("try")):
        pytest.skip(f"no loop-mounted file systems: {reason}")


@pytest.fixture(autouse=True)
def retries_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(condition, "RETRY_S", (0.05, 0.2))


@pytest.fixture
def disk(tmp_path: Path) -> LoopDisk:
    return LoopDisk(tmp_path / "disk.img", megabytes=16).made()


@pytest.fixture
def mounted(disk: LoopDisk, tmp_path: Path) -> Iterator[Path]:
    with disk.mounted(tmp_path / "mnt") as at:
        yield at


def readings(first: int, count: int) -> list[Reading]:
    return [Reading(1, seq, STAMP, b"%030d" % seq) for seq in range(first, first + count)]


@contextlib.asynccontextmanager
async def running(path: Path, **options: float) -> AsyncIterator[SqliteSpool]:
    """A spool that commits every 50 ms."""
    spool = SqliteSpool(SpoolOptions(path, commit_after_s=0.05, **options))
    await spool.open()
    keeping = asyncio.create_task(spool.run())
    try:
        yield spool
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
        await spool.close(10.0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not condition():  # what is waited for has no event
            await asyncio.sleep(0.01)


def use_up(at: Path) -> Path:
    """A file that takes all the room there is."""
    path = at / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 512):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
                    os.fsync(file.fileno())
    return path


async def all_of(path: Path) -> list[int]:
    found, status = await read_back(path)
    assert status.set_aside == ()
    return [reading.seq for reading in found.get(LANE, [])]


async def test_a_full_disk_is_a_state_that_ends_when_there_is_room(mounted: Path) -> None:
    path = mounted / "spool.db"
    async with running(path) as spool:
        spool.append(LANE, *readings(1, 100))
        await until(lambda: spool.status().commits == 1)
        filler = use_up(mounted)
        spool.append(LANE, *readings(101, 20_000))
        await until(lambda: spool.status().state == "disk_full")
        status = spool.status()
        assert "full" in status.error
        assert str(mounted) in status.hint
        spool.append(LANE, *readings(20_101, 100))
        assert [reading.seq for _, reading in spool.peek(LANE, 3)] == [1, 2, 3], "it goes on"
        assert spool.lanes()[LANE].waiting == 20_200
        filler.unlink()
        await until(lambda: spool.status().state == "healthy")
    assert await all_of(path) == list(range(1, 20_201))


async def test_a_disk_that_is_full_from_the_start(mounted: Path) -> None:
    filler = use_up(mounted)
    path = mounted / "spool.db"
    async with running(path) as spool:
        assert spool.status().state == "disk_full"
        assert spool.status().run_from == "clock"
        spool.append(LANE, *readings(1, 10))
        lent = spool.peek(LANE, 4)
        assert len(lent) == 4
        spool.ack([id for id, _ in lent])
        filler.unlink()
        await until(lambda: spool.status().state == "healthy")
    assert await all_of(path) == list(range(5, 11))


async def test_on_a_full_disk_memory_is_bounded_and_what_does_not_fit_is_counted(mounted: Path) -> None:
    path = mounted / "spool.db"
    filler = use_up(mounted)
    async with running(path, memory_max_bytes=94_000) as spool:
        for first in range(1, 5_001, 50):
            spool.append(LANE, *readings(first, 50))
        counts = spool.lanes()[LANE]
        assert counts.waiting == 1_000
        assert counts.dropped == {"full": 4_000}
        assert counts.balanced
        filler.unlink()
        await until(lambda: spool.status().state == "healthy")
    assert await all_of(path) == list(range(4_001, 5_001))


async def test_what_an_earlier_run_left_is_found_when_the_disk_becomes_writable(mounted: Path) -> None:
    path = mounted / "spool.db"
    async with running(path) as spool:
        spool.append(LANE, *readings(1, 50))
    remount(mounted, "ro")
    async with running(path) as spool:
        assert spool.status().state == "read_only"
        spool.append(LANE, *readings(51, 50))
        lent = spool.peek(LANE, 10)
        assert [reading.seq for _, reading in lent] == list(range(51, 61)), "it goes on with what it has"
        remount(mounted, "rw")
        await until(lambda: spool.status().state == "healthy")
        counts = spool.lanes()[LANE]
        assert (counts.carried_over, counts.received, counts.waiting) == (50, 50, 100)
        await until(lambda: spool.ready(LANE).readings == 90)
        assert [reading.seq for _, reading in spool.peek(LANE, 60)] == [*range(1, 51), *range(61, 71)]
    assert await all_of(path) == list(range(1, 101))


async def test_a_second_start_without_a_disk_keeps_the_order(mounted: Path) -> None:
    """Ids are given without asking the disk both times, so the second time they meet the first ones there."""
    path = mounted / "spool.db"
    for first in (1, 51):
        if path.exists():
            remount(mounted, "ro")
            async with running(path) as spool:
                spool.append(LANE, *readings(first, 50))
                remount(mounted, "rw")
                await until(lambda: spool.status().state == "healthy")
        else:
            filler = use_up(mounted)
            async with running(path) as spool:
                spool.append(LANE, *readings(first, 50))
                filler.unlink()
                await until(lambda: spool.status().state == "healthy")
    assert await all_of(path) == list(range(1, 101))


async def test_a_file_system_that_stops_itself_can_be_mended_under_the_daemon(
    disk: LoopDisk, tmp_path: Path
) -> None:
    at = tmp_path / "mnt"
    path = at / "spool.db"
    async with contextlib.AsyncExitStack() as stack:
        with disk.mounted(at, "errors=remount-ro"):
            spool = await stack.enter_async_context(running(path))
            spool.append(LANE, *readings(1, 50))
            await until(lambda: spool.status().commits == 1)
            disk.stop()
            spool.append(LANE, *readings(51, 50))
            await until(lambda: spool.status().state == "read_only")
        # The database was let go, or unmounting would have been refused.
        disk.mend()
        with disk.mounted(at):
            await until(lambda: spool.status().state == "healthy")
            assert spool.lanes()[LANE].waiting == 100
            await stack.aclose()
            assert await all_of(path) == list(range(1, 101))


async def test_a_file_that_nobody_may_change(mounted: Path) -> None:
    path = mounted / "spool.db"
    async with running(path) as spool:
        spool.append(LANE, *readings(1, 50))
        await until(lambda: spool.status().commits == 1)
        files = [mounted / "spool.db", mounted / "spool.db-wal"]
        set_attribute("+i", *files)
        try:
            spool.append(LANE, *readings(51, 50))
            await until(lambda: spool.status().state != "healthy")
            assert spool.lanes()[LANE].waiting == 100
        finally:
            set_attribute("-i", *files)
        await until(lambda: spool.status().state == "healthy")
    assert await all_of(path) == list(range(1, 101))
