"""The spool that keeps nothing: readings wait in memory, up to `memory_max_bytes`, and end with the process.

For tests, and for whoever has no disk to write to. It keeps every rule of the contract but the disk's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from serial2iot.spool.bound import Bound
from serial2iot.spool.contract import SpoolOptions
from serial2iot.spool.lane import Lane
from serial2iot.spool.lanes import Lanes

log = structlog.get_logger()


class MemorySpool(Lanes[Lane]):
    """A spool in memory. `clock` is monotonic seconds."""

    last_run: int | None = None

    def __init__(
        self,
        options: SpoolOptions,
        *,
        wake: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(wake)
        self._bound = Bound("memory_max_bytes", options.memory_max_bytes, options.when_full)
        self._clock = clock

    async def open(self) -> None:
        """Nothing is carried over."""

    async def run(self) -> None:
        """Nothing is to be done: waits until it is cancelled."""
        await asyncio.Event().wait()

    async def close(self, budget_s: float) -> None:
        """What waits is lost, and said to be."""
        lost = sum(lane.forsake("unsaved") for lane in self._by_name.values())
        if lost:
            log.error("readings_lost", readings=lost, hint="this spool keeps nothing over a stop")

    def _new_lane(self, name: str, number: int) -> Lane:
        return Lane(number)

    def _taken_in(self, lane: Lane, count: int) -> None:
        excess = self._memory - self._bound.limit
        if excess > 0:
            self._memory -= self._bound.shed(self._by_name.values(), lane, count, excess, self._clock())

    def _settled(self) -> None:
        if self._bound.full:
            self._bound.relax(self._by_name.values(), self._memory, self._clock())
