"""What a spool promises, whichever way it stores.

One lane per port, so that a refused topic or a busy port never holds up another.

Rules, which tests/contract checks on every implementation:

1. A lane hands readings out in the order they were appended. What is released goes back to its place,
   before everything that has not been handed out.
2. `peek` lends: what it returned is *in flight* and not returned again until `release`.
3. Only `ack` (a good PUBACK) and `drop` (a stated reason) remove a reading that is in flight.
   A bound never drops what is in flight.
4. The books of every lane balance after every call.
5. Unknown or repeated ids in `ack`, `release` and `drop` are ignored: a late PUBACK proves nothing new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from serial2iot.counters import LaneCounts
from serial2iot.reading import Reading, Stamp
from serial2iot.spool.run_number import RunNumber

ROW_OVERHEAD = 64
"""Bytes a reading costs beside its body, in every bound: the row's numbers, its key and its checksum."""


@dataclass(frozen=True, slots=True)
class SpoolOptions:
    """`[buffer]` of the configuration. Sizes in bytes, each reading charged `len(body) + ROW_OVERHEAD`."""

    path: Path = Path("/var/lib/serial2iot/spool.db")
    max_bytes: int = 64 << 20
    memory_max_bytes: int = 8 << 20
    commit_after_s: float = 3.0
    when_full: Literal["drop-oldest", "drop-newest"] = "drop-oldest"


class Ready(NamedTuple):
    """What a lane could hand out at once: enough to decide whether a message is due, without lending."""

    readings: int
    bytes: int  # of bodies, without overhead
    since: Stamp | None  # of the oldest; None where there is no reading


@dataclass(frozen=True, slots=True)
class SpoolStatus:
    """How the storage is, for people. Sizes in bytes."""

    state: Literal["memory", "healthy", "disk_full", "read_only", "busy", "failing", "damaged"]
    error: str = ""  # what the system said
    hint: str = ""
    for_s: float = 0.0  # how long it has been like this
    run_from: Literal["file", "database", "clock"] = "clock"  # `clock`: it could be kept, or found, nowhere
    memory: int = 0  # charge of what is in memory
    held: int = 0  # charge of all that waits, in memory and on the disk
    file: int = 0  # what is in use of the file, as of the last commit
    commits: int = 0
    slowest_commit_s: float = 0.0
    set_aside: tuple[str, ...] = ()  # names of the damaged and newer files beside the database


class Spool(Protocol):
    """The contract. Called from the event loop only; nothing here blocks, or raises for want of room.

    It is made with `wake`, which it calls whenever a lane may have something to hand out: once for each
    `append` and `release`, and when readings have come from the disk. `open` first, then `run` as a task for
    as long as the daemon runs; when that was cancelled, `close`.
    """

    async def open(self) -> RunNumber:
        """Find what an earlier run left, and number this run. It returns whatever state the disk is in."""

    async def run(self) -> None:
        """Keep the promises about the disk, until cancelled."""

    async def close(self, budget_s: float) -> None:
        """Put everything that is unacknowledged on the disk within so many seconds; say what could not be."""

    def append(self, lane: str, *readings: Reading) -> None:
        """Take readings in. Where there is no room, the bound's rule decides which reading is dropped."""

    def peek(self, lane: str, n: int) -> list[tuple[int, Reading]]:
        """Lend up to `n` readings, oldest first, each with the id that `ack`, `release` and `drop` take."""

    def ack(self, ids: Iterable[int]) -> None:
        """The cloud has them: forget them. Any set, in any order."""

    def release(self, ids: Iterable[int]) -> None:
        """They were not delivered: put them back where they were."""

    def drop(self, ids: Iterable[int], reason: str) -> None:
        """Set in-flight readings aside for good, counted under `reason`."""

    def ready(self, lane: str) -> Ready:
        """What the lane could hand out now."""

    def status(self) -> SpoolStatus:
        """How the storage is."""

    def lanes(self) -> Mapping[str, LaneCounts]:
        """Every lane that was ever used or carried over, with its books."""
