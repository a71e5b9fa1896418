"""Resident memory with a backlog on the disk, against none, and how fast it starts and drains.

    python -m tests.crash.memory [READINGS ...]

For each size a spool is filled, one child opens it, keeps what a publisher needs at hand, goes on taking
readings in and handing them out, and says how much of it is resident; another drains it and says at what
cost.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from serial2iot.reading import Reading, Stamp
from serial2iot.spool.contract import SpoolOptions
from serial2iot.spool.sqlite import SqliteSpool
from tests.crash.children import ENVIRONMENT, command, quiet

LANE = "arduino"
PIECE = 10_000
EPOCH = 1_763_856_000_000
BATCH = 64


def readings(first: int, count: int) -> list[Reading]:
    """Readings of 30 bytes, each with its own stamp, as a port makes them that sends ten a second."""
    return [
        Reading(1, seq, Stamp(EPOCH + seq * 100, seq * 100, "b" * 32, True), b'{"t":23.45,"soil":%07d}' % seq)
        for seq in range(first, first + count)
    ]


def options(path: Path) -> SpoolOptions:
    """Room for all of it."""
    return SpoolOptions(path, max_bytes=1 << 30)


async def fill(path: Path, count: int) -> None:
    """Leave a backlog."""
    now = 0.0
    spool = SqliteSpool(options(path), clock=lambda: now)
    await spool.open()
    for first in range(1, count + 1, PIECE):
        spool.append(LANE, *readings(first, min(PIECE, count + 1 - first)))
        now += 10.0
        await spool.turn()
    await spool.close(60.0)


async def stay(path: Path) -> dict[str, float]:
    """Live with the backlog for a while: some go, some come, at the pace of a healthy connection."""
    changed = asyncio.Event()
    spool = SqliteSpool(options(path), wake=changed.set)
    began = time.perf_counter()
    await spool.open()
    opened_s = time.perf_counter() - began
    keeping = asyncio.create_task(spool.run())
    for turn in range(500):
        spool.append(LANE, *readings(turn * 10 + 1, 10))
        if lent := spool.peek(LANE, BATCH):
            spool.ack([id for id, _ in lent])
        await asyncio.sleep(0)
        if turn % 50 == 0:
            changed.clear()
            async with asyncio.timeout(10):
                while spool.lanes()[LANE].waiting and not spool.ready(LANE).readings:
                    await changed.wait()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    waiting = spool.lanes()[LANE].waiting
    keeping.cancel()
    return {"opened_s": opened_s, "resident": resident, "waiting": waiting}


async def drain(path: Path) -> dict[str, float]:
    """Take everything out in batches, acknowledged two thousand readings later."""
    changed = asyncio.Event()
    spool = SqliteSpool(options(path), wake=changed.set)
    await spool.open()
    keeping = asyncio.create_task(spool.run())
    count, lent = 0, list[int]()
    began, spent = time.perf_counter(), time.process_time()
    while spool.lanes()[LANE].waiting:
        pairs = spool.peek(LANE, BATCH)
        lent += [id for id, _ in pairs]
        count += len(pairs)
        if len(lent) > 2000 or not pairs:
            spool.ack(lent)
            lent.clear()
            await asyncio.sleep(0)
        if not pairs and spool.lanes()[LANE].waiting and not spool.ready(LANE).readings:
            changed.clear()
            await changed.wait()
    took, spent = time.perf_counter() - began, time.process_time() - spent
    keeping.cancel()
    await spool.close(10.0)
    return {"rate": count / took, "cost_us": spent / count * 1e6}


def child(job: str, path: Path) -> dict[str, float]:
    """Run one of the above in a process of its own."""
    work = command("memory", "--job", job, path)
    done = subprocess.run(work, check=True, capture_output=True, text=True, env=ENVIRONMENT)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(scratch: Path, count: int) -> dict[str, float]:
    """All figures for one size of backlog."""
    path = scratch / str(count) / "spool.db"
    asyncio.run(fill(path, count))
    return child("stay", path) | (child("drain", path) if count else {})


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sizes", type=int, nargs="*", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--job", nargs=2, metavar=("JOB", "PATH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        job, path = arguments.job
        print(json.dumps(asyncio.run({"stay": stay, "drain": drain}[job](Path(path)))))
        return 0
    with tempfile.TemporaryDirectory(prefix="backlog-") as scratch:
        empty = measure(Path(scratch), 0)["resident"]
        print("  backlog  resident MiB  more MiB  open s   drain/s  us each")
        for size in arguments.sizes:
            got = measure(Path(scratch), size)
            mib, more = got["resident"] / 2**20, (got["resident"] - empty) / 2**20
            print(f"{size:>9} {mib:>13.1f} {more:>9.1f} {got['opened_s']:>7.2f}", end=" ")
            print(f"{got['rate']:>9.0f} {got['cost_us']:>8.2f}")
    return 0


if __name__ == "__main__":
    quiet()
    sys.exit(main())
