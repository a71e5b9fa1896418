"""What happens where there is no more room, and how it is told.

`drop-oldest`: the lane that holds the most pays, so that a busy port or a refused topic cannot empty a quiet
one. `drop-newest`: what has just come is not taken. What is in flight is never dropped; if that alone is more
than the bound, the bound is exceeded by it.

An episode is told twice: when the first reading is dropped, and when a tenth of the room is free again.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import structlog

from serial2iot.spool.lane import Lane

log = structlog.get_logger()

REASON = "full"


class Bound:
    """A limit on the charge of all lanes together, and the rule that keeps it. `key` names its setting."""

    def __init__(self, key: str, limit: int, when_full: Literal["drop-oldest", "drop-newest"]) -> None:
        self.key = key
        self.limit = limit
        self._when_full = when_full
        self._began_s: float | None = None
        self._dropped_before = 0

    @property
    def full(self) -> bool:
        """Whether something was dropped and there has not been room since."""
        return self._began_s is not None

    def shed(self, lanes: Collection[Lane], newest: Lane, count: int, excess: int, now_s: float) -> int:
        """Drop until `excess` is free, if that can be; the charge that became free.

        The last `count` readings of `newest` are what came last. `now_s` is monotonic.
        """
        self._begin(lanes, now_s)
        if self._when_full == "drop-newest":
            return newest.shed_newest(excess, count, REASON)
        freed = 0
        for lane in sorted(lanes, key=lambda lane: lane.held, reverse=True):
            freed += lane.shed_oldest(excess - freed, REASON)
            if freed >= excess:
                break
        return freed

    def relax(self, lanes: Collection[Lane], used: int, now_s: float) -> None:
        """End the episode if there is room again."""
        if self._began_s is None or used > self.limit * 0.9:
            return
        lost = _dropped(lanes) - self._dropped_before
        log.info("spool_has_room", bound=self.key, dropped=lost, lasted_s=round(now_s - self._began_s, 1))
        self._began_s = None

    def _begin(self, lanes: Collection[Lane], now_s: float) -> None:
        if self._began_s is not None:
            return
        self._began_s, self._dropped_before = now_s, _dropped(lanes)
        hint = f"raise buffer.{self.key}, or find out why readings do not leave"
        log.warning("spool_full", bound=self.key, limit=self.limit, when_full=self._when_full, hint=hint)


def _dropped(lanes: Collection[Lane]) -> int:
    return sum(lane.counts.dropped[REASON] for lane in lanes)
