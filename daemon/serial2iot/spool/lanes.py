"""All lanes of a spool: the part of the contract that is the same whichever way it stores.

What differs is behind three methods of a subclass: what a new lane is, what happens when something was taken
in, and when something was settled. Nothing is awaited here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Generic

from serial2iot.counters import LaneCounts
from serial2iot.reading import Reading
from serial2iot.spool.contract import Ready
from serial2iot.spool.lane import NOTHING, AnyLane, lane_number


class Lanes(ABC, Generic[AnyLane]):
    """Lanes by name and by number. `wake` is called when one may have something to hand out."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._by_name: dict[str, AnyLane] = {}
        self._by_number: dict[int, AnyLane] = {}
        self._counts: dict[str, LaneCounts] = {}
        self._first = 1  # where a new lane begins to count
        self._memory = 0  # the charge of all that is in memory

    def append(self, lane: str, *readings: Reading) -> None:
        """Take readings in; see the contract."""
        if not readings:
            return
        home = self._by_name.get(lane) or self._add(lane)
        self._memory += home.append(readings)
        self._taken_in(home, len(readings))
        self._wake()

    def peek(self, lane: str, n: int) -> list[tuple[int, Reading]]:
        """Lend readings; see the contract."""
        home = self._by_name.get(lane)
        return home.lend(n) if home else []

    def ack(self, ids: Iterable[int]) -> None:
        """The cloud has them; see the contract."""
        for lane, mine in self._owners(ids):
            self._memory -= lane.acknowledge(mine)
        self._settled()

    def release(self, ids: Iterable[int]) -> None:
        """Put back; see the contract."""
        for lane, mine in self._owners(ids):
            lane.put_back(mine)
        self._wake()

    def drop(self, ids: Iterable[int], reason: str) -> None:
        """Set aside for good; see the contract."""
        for lane, mine in self._owners(ids):
            self._set_aside(lane, lane.lent(mine), reason)
            self._memory -= lane.discard(mine, reason)
        self._settled()

    def ready(self, lane: str) -> Ready:
        """What could be handed out; see the contract."""
        home = self._by_name.get(lane)
        return home.ready() if home else NOTHING

    def lanes(self) -> Mapping[str, LaneCounts]:
        """The books, alive: they go on changing."""
        return self._counts

    def _set_aside(self, lane: AnyLane, readings: Sequence[Reading], reason: str) -> None:
        """Where a person can look at what was dropped for a reason; nowhere, unless a subclass has a place."""

    @abstractmethod
    def _new_lane(self, name: str, number: int, first: int) -> AnyLane:
        """A lane that was never seen. `first` is the number of its first reading."""

    @abstractmethod
    def _taken_in(self, lane: AnyLane, count: int) -> None:
        """The last `count` readings of a lane are new: see that the bounds hold."""

    @abstractmethod
    def _settled(self) -> None:
        """Something may have become free."""

    def _add(self, name: str, first: int | None = None) -> AnyLane:
        number = len(self._by_number) + 1
        lane = self._new_lane(name, number, self._first if first is None else first)
        self._by_name[name] = self._by_number[number] = lane
        self._counts[name] = lane.counts
        return lane

    def _owners(self, ids: Iterable[int]) -> Iterator[tuple[AnyLane, list[int]]]:
        """The ids by the lane they belong to; nearly always it is one lane."""
        ids = list(ids)
        if not ids:
            return
        number = lane_number(ids[0])
        if lane_number(min(ids)) == number == lane_number(max(ids)):
            if number in self._by_number:
                yield self._by_number[number], ids
            return
        for number in {lane_number(id) for id in ids} & self._by_number.keys():
            yield self._by_number[number], [id for id in ids if lane_number(id) == number]
