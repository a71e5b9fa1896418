"""The spool that keeps nothing: readings wait in memory, up to `memory_max_bytes`, and end with the process.

For tests, and for whoever has no disk to write to. It keeps every rule of the contract but the disk's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from serial2iot.spool.bound import Bound
from serial2iot.spool.contract import SpoolOptions, SpoolStatus
from serial2iot.spool.lane import Lane
from serial2iot.spool.lanes import Lanes
from serial2iot.spool.run_number import RunNumber, next_run

log = structlog.get_logger()


class MemorySpool(Lanes[Lane]):
    """A spool in memory. `clock` is monotonic seconds."""

    def __init__(
        self,
        options: SpoolOptions,
        *,
        wake: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(wake)
        self._bound = Bound[Lane](
            "memory_max_bytes",
            options.memory_max_bytes,
            options.when_full,
            weigh=lambda lane: lane.charge,
            shed=Lane.shed_oldest,
        )
        self._clock = clock
        self._directory = options.path.parent
        self._run = RunNumber(0, "clock")

    async def open(self) -> RunNumber:
        """Nothing is carried over; the run's number is kept in its file where that can be."""
        self._run = next_run(self._directory, None, time.time())
        return self._run

    async def run(self) -> None:
        """Nothing is to be done: waits until it is cancelled."""
        await asyncio.Event().wait()

    async def close(self, budget_s: float) -> None:
        """What waits is lost, and said to be."""
        lost = sum(lane.forsake("unsaved") for lane in self._by_name.values())
        if lost:
            log.error("readings_lost", readings=lost, hint="this spool keeps nothing over a stop")

    def status(self) -> SpoolStatus:
        """There is no storage to be ill."""
        return SpoolStatus("memory", run_from=self._run.source, memory=self._memory, held=self._memory)

    def _new_lane(self, name: str, number: int, first: int) -> Lane:
        return Lane(number, first)

    def _taken_in(self, lane: Lane, count: int) -> None:
        excess = self._memory - self._bound.limit
        if excess > 0:
            self._memory -= self._bound.keep(self._by_name.values(), lane, count, excess, self._clock())

    def _settled(self) -> None:
        if self._bound.full:
            self._bound.relax(self._memory, self._clock())
