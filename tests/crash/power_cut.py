"""Power cuts: is what was committed there after the power comes back?

    python -m tests.crash.power_cut [CUTS] [--synchronous OFF]

A child writes numbered readings into a spool on a loop-mounted ext4 file system and says through a pipe what
it believes to be on the disk (`commit_after_s = 0`: what the spool hands out) and what it is about to
acknowledge. At a random moment it is stopped, and the file behind the loop device is copied: that is all a
power cut leaves, because what the kernel has not written yet is only in memory. The copy is mounted, its
journal replayed, the spool opened. Lost is what was believed to be on the disk, was not about to be
acknowledged, and is not there.

With `synchronous = OFF` SQLite does not wait for the disk: then readings must get lost, which shows that this
program would see it.
"""

import argparse
import asyncio
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from serial2iot.reading import Reading, Stamp
from serial2iot.spool import database
from serial2iot.spool.contract import SpoolOptions
from serial2iot.spool.sqlite import SqliteSpool
from tests.crash.children import ENVIRONMENT, command, quiet
from tests.crash.disks import LoopDisk, why_no_disks
from tests.crash.reading_back import read_back

LANE = "arduino"
SIZES = (10, 30, 300, 9000)  # of bodies; the large ones fold the log into the file several times a second
STAMP = Stamp(1_763_856_000_000, 1_000, "boot", True)


def body_of(seq: int) -> bytes:
    """The one body that a reading of this number may have."""
    return (b"%d " % seq).ljust(SIZES[seq % len(SIZES)], b".")


async def write(path: Path) -> None:
    """The child: append, see it on the disk, acknowledge some; tell the parent. Ends by a signal."""
    changed = asyncio.Event()
    spool = SqliteSpool(SpoolOptions(path, commit_after_s=0.0), wake=changed.set)
    await spool.open()
    keeping = asyncio.create_task(spool.run())
    seq, lent = 0, list[int]()
    while not keeping.done():
        count = random.choice((1, 1, 3, 20, 100))
        spool.append(LANE, *[Reading(1, n, STAMP, body_of(n)) for n in range(seq + 1, seq + count + 1)])
        seq += count
        while not (pairs := spool.peek(LANE, 1000)):
            changed.clear()
            await changed.wait()
        lent += [id for id, _ in pairs]
        print(f"durable {pairs[-1][1].seq}", flush=True)
        if len(lent) > 400 and random.random() < 0.2:
            done = len(lent) // 2
            print(f"acknowledging {pairs[-1][1].seq - len(lent) + done}", flush=True)
            spool.ack(lent[:done])
            del lent[:done]


@dataclass
class Outcome:
    """What became of one power cut, in readings."""

    durable: int
    acknowledged: int
    lost: int
    foreign: int  # found, and never written
    state: str


def cut(scratch: Path, synchronous: str) -> Outcome:
    """One power cut."""
    disk = LoopDisk(scratch / "disk.img", megabytes=48).made()
    with disk.mounted(scratch / "mnt") as at:
        writing = command("power_cut", "--synchronous", synchronous, "--write", at / "spool.db")
        child = subprocess.Popen(writing, stdout=subprocess.PIPE, env=ENVIRONMENT)
        assert child.stdout is not None
        try:
            said = read_for(child.stdout.fileno(), random.uniform(0.02, 0.8))
            os.kill(child.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, child.pid, os.WSTOPPED)
            said += read_for(child.stdout.fileno(), 0.0)
            after = disk.copied(scratch / "after.img")
        finally:
            child.kill()
            child.wait()
            child.stdout.close()
    durable, acknowledged = believed(said)
    with after.mounted(scratch / "mnt") as at:
        readings, status = asyncio.run(read_back(at / "spool.db"))
    found = {reading.seq: reading.body for reading in readings.get(LANE, ())}
    lost = sum(1 for seq in range(acknowledged + 1, durable + 1) if seq not in found)
    foreign = sum(1 for seq, body in found.items() if body != body_of(seq))
    return Outcome(durable, acknowledged, lost, foreign, status.state)


def read_for(descriptor: int, seconds: float) -> bytes:
    """What comes through the pipe within some seconds of its first byte; 0: what is in it."""
    said = b""
    until = time.monotonic() + (30.0 if seconds else 0.0)  # for the child to begin
    while select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0]:
        if not said and seconds:
            until = time.monotonic() + seconds
        piece = os.read(descriptor, 1 << 16)
        said += piece
        if not piece or (seconds and time.monotonic() >= until):
            break
    return said


def believed(said: bytes) -> tuple[int, int]:
    """The last numbers that the child called durable, and was about to acknowledge."""
    last = {"durable": 0, "acknowledging": 0}
    for line in said.decode().splitlines(keepends=True):
        word, _, number = line.partition(" ")
        if number.endswith("\n"):
            last[word] = int(number)
    return last["durable"], last["acknowledging"]


def cut_often(cuts: int, synchronous: str, scratch: Path) -> Iterator[Outcome]:
    """So many power cuts, each of a new file system."""
    for _ in range(cuts):
        yield cut(scratch, synchronous)


def summary(outcomes: Sequence[Outcome], synchronous: str) -> str:
    """The figures in one line."""
    durable = sum(outcome.durable - outcome.acknowledged for outcome in outcomes)
    losing = sum(1 for outcome in outcomes if outcome.lost)
    return (
        f"{len(outcomes)} power cuts, synchronous={synchronous}: "
        f"{durable} readings committed and not acknowledged, "
        f"{sum(outcome.lost for outcome in outcomes)} of them lost (in {losing} cuts), "
        f"{sum(outcome.foreign for outcome in outcomes)} that were never written"
    )


def main() -> int:
    """Cut the power as often as asked; the exit status is 1 if something was lost that must not be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cuts", type=int, nargs="?", default=200)
    parser.add_argument("--synchronous", default="FULL", choices=("FULL", "OFF"))
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        database.SYNCHRONOUS = arguments.synchronous
        asyncio.run(write(arguments.write))
        return 0
    with tempfile.TemporaryDirectory(prefix="power-cut-") as scratch:
        if reason := why_no_disks(Path(scratch)):
            print(f"power cuts need a loop-mounted file system: {reason}")
            return 2
        outcomes = list(cut_often(arguments.cuts, arguments.synchronous, Path(scratch)))
    print(summary(outcomes, arguments.synchronous))
    return int(any(outcome.lost or outcome.foreign for outcome in outcomes))


if __name__ == "__main__":
    quiet()
    sys.exit(main())
