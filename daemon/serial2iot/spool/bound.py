"""What happens where there is no more room, and how it is told.

`drop-oldest`: the lane that holds the most pays, so that a busy port or a refused topic cannot empty a quiet
one. `drop-newest`: what has just come is not taken. What is in flight is never dropped; if that alone is more
than the bound, the bound is exceeded by it.

An episode is told twice: when the first reading is dropped, and when a tenth of the room is free again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Generic, Literal

import structlog

from serial2iot.spool.lane import AnyLane

log = structlog.get_logger()

REASON = "full"


class Bound(Generic[AnyLane]):
    """A limit on the charge of all lanes together, and the rule that keeps it.

    `key` names its setting. `weigh` says what a lane holds under this bound, `shed` drops that much of it.
    """

    def __init__(
        self,
        key: str,
        limit: int,
        when_full: Literal["drop-oldest", "drop-newest"],
        *,
        weigh: Callable[[AnyLane], int],
        shed: Callable[[AnyLane, int, str], int],
    ) -> None:
        self.limit = limit
        self._key = key
        self._newest = when_full == "drop-newest"
        self._weigh = weigh
        self._shed = shed
        self._began_s: float | None = None
        self._dropped = 0

    @property
    def full(self) -> bool:
        """Whether something was dropped and there has not been room since."""
        return self._began_s is not None

    def keep(self, lanes: Collection[AnyLane], newest: AnyLane, count: int, excess: int, now_s: float) -> int:
        """Drop until `excess` is free, if that can be; the charge that became free.

        The last `count` readings of `newest` are what came last. `now_s` is monotonic.
        """
        before = _dropped(lanes)
        if self._newest:
            freed = newest.shed_newest(excess, count, REASON)
        else:
            freed = 0
            for lane in sorted(lanes, key=self._weigh, reverse=True):
                freed += self._shed(lane, excess - freed, REASON)
                if freed >= excess:
                    break
        self._dropped += _dropped(lanes) - before
        if freed and self._began_s is None:
            self._began_s = now_s
            hint = f"raise buffer.{self._key}, or find out why readings do not leave"
            log.warning("spool_full", bound=self._key, limit=self.limit, hint=hint)
        return freed

    def relax(self, used: int, now_s: float) -> None:
        """End the episode if there is room again."""
        if self._began_s is None or used > self.limit * 0.9:
            return
        lasted_s = round(now_s - self._began_s, 1)
        log.info("spool_has_room", bound=self._key, dropped=self._dropped, lasted_s=lasted_s)
        self._began_s, self._dropped = None, 0


def _dropped(lanes: Collection[AnyLane]) -> int:
    return sum(lane.counts.dropped[REASON] for lane in lanes)
