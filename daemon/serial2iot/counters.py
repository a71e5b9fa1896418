"""The books: what came in, what went where. They balance at any moment.

    carried over + received = acknowledged + waiting + dropped        (per lane, in readings)

`received` counts after the filter. What never became a reading is counted apart, in `WireCounts`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class LaneCounts:
    """One lane of the spool. `waiting` includes what is in flight: it is not acknowledged yet."""

    carried_over: int = 0
    received: int = 0
    acknowledged: int = 0
    waiting: int = 0
    dropped: Counter[str] = field(default_factory=Counter)  # by reason

    @property
    def balanced(self) -> bool:
        """Whether every reading that came is accounted for."""
        came = self.carried_over + self.received
        return came == self.acknowledged + self.waiting + self.dropped.total()


def sums(lanes: Iterable[LaneCounts]) -> dict[str, int]:
    """The books of all lanes together, one number for each word."""
    totals = dict.fromkeys(("carried_over", "received", "acknowledged", "waiting", "dropped"), 0)
    for lane in lanes:
        for word in totals:
            totals[word] += lane.dropped.total() if word == "dropped" else getattr(lane, word)
    return totals


@dataclass(slots=True)
class WireCounts:
    """One port, before the spool."""

    bytes: int = 0
    filtered: int = 0  # readings that the configuration did not want
    nulled: int = 0  # NaN and infinities that became null
    bad_frames: Counter[str] = field(default_factory=Counter)  # by reason
