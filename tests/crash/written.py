"""What the spool writes: bytes and fsyncs per commit and per reading, as the kernel counts them.

    python -m tests.crash.written [COMMITS]

A child appends readings of 30 bytes and commits them in groups of a given size, with nobody to acknowledge
them; `healthy` acknowledges each at once. Bytes are `write_bytes` of /proc/self/io: what the process had the
kernel write to the device, in whole pages. fsyncs are counted by strace, where it is installed.
"""

import argparse
import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from serial2iot.reading import Reading, Stamp
from serial2iot.spool.contract import SpoolOptions
from serial2iot.spool.sqlite import SqliteSpool
from tests.crash.children import ENVIRONMENT, command, quiet

BODY = b'{"t":23.45,"h":55.1,"soil":12}'
GROUPS = (1, 10, 100, 1000)


class Written(NamedTuple):
    """What was written for so many commits of so many readings each; 0 a commit: a healthy day."""

    group: int
    commits: int
    bytes: int
    syncs: int | None  # None: strace is not there

    @property
    def a_commit(self) -> float:
        """Bytes."""
        return self.bytes / max(1, self.commits)

    @property
    def of_payload(self) -> float:
        """Bytes for each byte of a body."""
        return self.bytes / max(1, self.commits * self.group * len(BODY))


async def work(path: Path, group: int, commits: int) -> None:
    """The child: says on standard output what was written after the start."""
    now = 0.0
    spool = SqliteSpool(SpoolOptions(path, max_bytes=1 << 30), clock=lambda: now)
    await spool.open()
    before, seq = written_so_far(), 0
    for _ in range(commits):
        now += 10.0
        stamp = Stamp(1_763_856_000_000 + int(now * 1000), int(now * 1000), "0123456789abcdef" * 2, True)
        spool.append("arduino", *[Reading(1, seq + n, stamp, BODY) for n in range(max(1, group))])
        seq += max(1, group)
        if group == 0:
            spool.ack([id for id, _ in spool.peek("arduino", 10)])
        now += 3.0
        await spool.turn()
    print(spool.status().commits, written_so_far() - before, flush=True)
    await spool.close(10.0)


def written_so_far() -> int:
    """Bytes that this process has had written to a device."""
    found = re.search(r"^write_bytes: (\d+)$", Path("/proc/self/io").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def measure(scratch: Path, group: int, commits: int) -> Written:
    """Run the child twice: undisturbed for the bytes, under strace for the fsyncs."""
    work = command("written", "--work", scratch / "spool.db", group, commits)
    told = subprocess.run(work, check=True, capture_output=True, text=True, env=ENVIRONMENT).stdout
    done, count = map(int, told.split())
    syncs = None
    if shutil.which("strace"):
        empty(scratch)
        trace = scratch / "trace"
        calls = "trace=fsync,fdatasync"
        traced = ["strace", "-f", "-e", calls, "-o", trace, *work]
        subprocess.run(traced, check=True, capture_output=True, env=ENVIRONMENT)
        syncs = sum("sync(" in line for line in trace.read_text().splitlines())
    empty(scratch)
    return Written(group, done, count, syncs)


def empty(directory: Path) -> None:
    """Remove what a run left."""
    for file in directory.iterdir():
        file.unlink()


def table(rows: list[Written]) -> str:
    """The figures for people."""
    lines = [
        f"{'readings a commit':>18} {'commits':>8} {'bytes a commit':>15} {'x payload':>10} {'fsyncs':>8}"
    ]
    for row in rows:
        name = str(row.group) if row.group else "healthy"
        syncs = "?" if row.syncs is None else str(row.syncs)
        lines.append(f"{name:>18} {row.commits:>8} {row.a_commit:>15.0f} {row.of_payload:>10.1f} {syncs:>8}")
    return "\n".join(lines)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("commits", type=int, nargs="?", default=1000)
    parser.add_argument("--work", nargs=3, metavar=("PATH", "GROUP", "COMMITS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        path, group, commits = arguments.work
        asyncio.run(work(Path(path), int(group), int(commits)))
        return 0
    with tempfile.TemporaryDirectory(prefix="written-") as scratch:
        print(table([measure(Path(scratch), group, arguments.commits) for group in (0, *GROUPS)]))
    return 0


if __name__ == "__main__":
    quiet()
    sys.exit(main())
