"""The rules of spool/contract.py, on every implementation."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from serial2iot.reading import Reading, Stamp
from serial2iot.spool.contract import ROW_OVERHEAD, Spool, SpoolOptions
from serial2iot.spool.memory import MemorySpool
from serial2iot.spool.sqlite import SqliteSpool

Build = Callable[..., Awaitable[Spool]]

IMPLEMENTATIONS = [MemorySpool, SqliteSpool]


def readings(first: int, count: int, body: bytes = b'{"value":1}', run: int = 1) -> list[Reading]:
    stamp = Stamp(1_763_856_000_000 + first, 1_000 + first, "boot", True)
    return [Reading(run, seq, stamp, body) for seq in range(first, first + count)]


def seqs(lent: list[tuple[int, Reading]]) -> list[int]:
    return [reading.seq for _, reading in lent]


def ids(lent: list[tuple[int, Reading]]) -> list[int]:
    return [id for id, _ in lent]


def balanced(spool: Spool) -> bool:
    return all(counts.balanced for counts in spool.lanes().values())


@pytest.fixture(params=IMPLEMENTATIONS, ids=lambda implementation: implementation.__name__)
async def build(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Build]:
    spools: list[Spool] = []

    async def build(wake: Callable[[], None] = lambda: None, **options: object) -> Spool:
        spool = request.param(SpoolOptions(path=tmp_path / "spool.db", **options), wake=wake)
        spools.append(spool)
        await spool.open()
        return spool

    yield build
    for spool in spools:
        await spool.close(5.0)


async def test_hands_out_in_the_order_of_appending(build: Build) -> None:
    spool = await build()
    spool.append("a", *readings(1, 3))
    spool.append("a", *readings(4, 2))
    assert seqs(spool.peek("a", 4)) == [1, 2, 3, 4]
    assert seqs(spool.peek("a", 4)) == [5]


async def test_what_is_lent_is_not_lent_again_until_released(build: Build) -> None:
    spool = await build()
    spool.append("a", *readings(1, 4))
    lent = spool.peek("a", 2)
    assert seqs(spool.peek("a", 9)) == [3, 4]
    assert spool.peek("a", 9) == []
    spool.release(ids(lent))
    assert spool.peek("a", 9) == lent


async def test_released_readings_return_to_their_place(build: Build) -> None:
    spool = await build()
    spool.append("a", *readings(1, 6))
    first, second = spool.peek("a", 2), spool.peek("a", 2)
    spool.release(ids(second))
    spool.release(reversed(ids(first)))
    assert seqs(spool.peek("a", 9)) == [1, 2, 3, 4, 5, 6]


async def test_released_in_pieces_and_between_loans(build: Build) -> None:
    spool = await build()
    spool.append("a", *readings(1, 6))
    lent = spool.peek("a", 5)
    spool.release([ids(lent)[1]])
    spool.release([ids(lent)[4]])
    spool.release([ids(lent)[2]])
    assert seqs(spool.peek("a", 2)) == [2, 3]
    spool.release([ids(lent)[0]])
    assert seqs(spool.peek("a", 9)) == [1, 5, 6]


async def test_acknowledged_in_any_order_they_are_gone(build: Build) -> None:
    spool = await build()
    spool.append("a", *readings(1, 4))
    lent = ids(spool.peek("a", 4))
    spool.ack([lent[3], lent[0]])
    spool.release(lent)
    assert seqs(spool.peek("a", 9)) == [2, 3]
    assert spool.lanes()["a"].acknowledged == 2


async def test_unknown_and_repeated_ids_change_nothing(build: Build) -> None:
    spool = await build()
    spool.append("a", *readings(1, 3))
    lent = ids(spool.peek("a", 2))
    spool.ack([lent[0], lent[0]])
    for late in (spool.ack, spool.release, lambda some: spool.drop(some, "poison")):
        late([lent[0], 0, -1, 7 << 60, lent[1] + 1])
    assert seqs(spool.peek("a", 9)) == [3]
    counts = spool.lanes()["a"]
    assert (counts.received, counts.acknowledged, counts.waiting, counts.dropped) == (3, 1, 2, {})


async def test_a_lane_does_not_hold_up_another_and_ids_tell_them_apart(build: Build) -> None:
    spool = await build()
    spool.append("a", *readings(1, 2))
    spool.append("b", *readings(1, 2))
    lent_a, lent_b = spool.peek("a", 1), spool.peek("b", 2)
    spool.ack(ids(lent_a) + ids(lent_b))
    assert spool.lanes()["a"].waiting == 1
    assert spool.lanes()["b"].waiting == 0
    assert seqs(spool.peek("a", 9)) == [2]


async def test_a_lane_that_nobody_used_is_empty(build: Build) -> None:
    spool = await build()
    assert spool.peek("a", 3) == []
    assert spool.ready("a") == (0, 0, None)
    assert dict(spool.lanes()) == {}


async def test_ready_says_what_could_be_lent(build: Build) -> None:
    spool = await build()
    sample = readings(1, 3)
    spool.append("a", *sample)
    lent = spool.peek("a", 1)
    size = len(sample[0].body)
    assert spool.ready("a") == (2, 2 * size, sample[1].stamp)
    spool.release(ids(lent))
    assert spool.ready("a") == (3, 3 * size, sample[0].stamp)
    spool.peek("a", 3)
    assert spool.ready("a") == (0, 0, None)


async def test_set_aside_readings_are_counted_under_their_reason(build: Build) -> None:
    spool = await build()
    spool.append("a", *readings(1, 3))
    spool.drop(ids(spool.peek("a", 2)), "poison")
    counts = spool.lanes()["a"]
    assert counts.dropped == {"poison": 2}
    assert counts.waiting == 1
    assert balanced(spool)


async def test_wakes_once_for_each_append_and_release(build: Build) -> None:
    woken: list[int] = []
    spool = await build(wake=lambda: woken.append(1))
    before = len(woken)
    spool.append("a", *readings(1, 100))
    assert len(woken) == before + 1
    spool.release(ids(spool.peek("a", 100)))
    assert len(woken) == before + 2


BODY = bytes(100)
ROW = len(BODY) + ROW_OVERHEAD


async def test_a_full_memory_drops_the_oldest_but_nothing_in_flight(build: Build) -> None:
    spool = await build(memory_max_bytes=10 * ROW, max_bytes=10 * ROW)
    spool.append("a", *readings(1, 10, BODY))
    lent = spool.peek("a", 3)
    spool.append("a", *readings(11, 2, BODY))
    assert spool.lanes()["a"].dropped == {"full": 2}
    spool.release(ids(lent))
    assert seqs(spool.peek("a", 99)) == [1, 2, 3, 6, 7, 8, 9, 10, 11, 12]
    spool.append("a", *readings(13, 5, BODY))
    assert spool.peek("a", 99) == []
    assert spool.lanes()["a"].dropped == {"full": 7}
    assert balanced(spool)


async def test_a_full_memory_drops_the_newest_where_that_is_wanted(build: Build) -> None:
    spool = await build(memory_max_bytes=5 * ROW, max_bytes=5 * ROW, when_full="drop-newest")
    spool.append("a", *readings(1, 4, BODY))
    spool.append("a", *readings(5, 4, BODY))
    lent = spool.peek("a", 99)
    assert seqs(lent) == [1, 2, 3, 4, 5]
    spool.ack(ids(lent))
    spool.append("a", *readings(9, 1, BODY))
    assert seqs(spool.peek("a", 99)) == [9]
    assert spool.lanes()["a"].dropped == {"full": 3}
    assert balanced(spool)


async def test_the_lane_that_holds_the_most_pays(build: Build) -> None:
    spool = await build(memory_max_bytes=10 * ROW, max_bytes=10 * ROW)
    spool.append("quiet", *readings(1, 2, BODY))
    spool.append("busy", *readings(1, 20, BODY))
    spool.append("quiet", *readings(3, 1, BODY))
    assert spool.lanes()["quiet"].dropped == {}
    assert seqs(spool.peek("quiet", 9)) == [1, 2, 3]
    assert seqs(spool.peek("busy", 99)) == list(range(14, 21))
    assert balanced(spool)


async def test_runs_until_it_is_cancelled(build: Build) -> None:
    spool = await build()
    running = asyncio.create_task(spool.run())
    spool.append("a", *readings(1, 1))
    await asyncio.sleep(0)
    assert not running.done()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
