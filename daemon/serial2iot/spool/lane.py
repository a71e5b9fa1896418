"""One lane of readings in memory: what is in flight, what was put back, and what came last.

    lent    in flight, by id; only an acknowledgement, a stated reason or putting back ends that
    head    pairs of id and reading, ascending: put back, or loaded from a disk
    tail    readings as they came; their ids follow one another without a gap

Rules:

1. Ids ascend in the order of appending, and every id of the head is below every id of the tail.
2. What was lent last has a higher id than all that was lent for the first time before it, so whatever is put
   back belongs into the head.
3. An id says its lane (`lane_number`), so a late PUBACK finds it without a search.

Sizes are charges, `len(body) + ROW_OVERHEAD`, except in `Ready`. Nothing here knows of a clock or a disk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from serial2iot.counters import LaneCounts
from serial2iot.reading import Reading
from serial2iot.spool.contract import ROW_OVERHEAD, Ready

ID_BITS = 48
"""Bits of an id that count within a lane: 89 years at 100,000 readings a second."""

Pair = tuple[int, Reading]


NOTHING = Ready(0, 0, None)


def lane_number(id: int) -> int:
    """The lane that an id belongs to."""
    return id >> ID_BITS


def size_of(readings: Iterable[Reading]) -> int:
    """Bytes of the bodies alone. Written for speed: it is called three times a reading."""
    return sum([len(body) for _, _, _, body in readings])


def runs_of(pairs: Iterable[Pair]) -> Iterator[tuple[int, list[Reading]]]:
    """Split ascending pairs where their ids leave a hole: the first id of each run, and its readings."""
    run: list[Reading] = []
    first = 0
    for id, reading in pairs:
        if run and id != first + len(run):
            yield first, run
            run = []
        if not run:
            first = id
        run.append(reading)
    if run:
        yield first, run


class Lane:
    """The readings of one port that are in memory, and the port's books."""

    def __init__(self, number: int, first: int) -> None:
        self.number = number
        self.counts = LaneCounts()
        self.charge = 0  # of all that is in memory
        self.tail_open = True  # whether the tail may be handed out
        self._lent: dict[int, Reading] = {}
        self._head: deque[Pair] = deque()
        self._head_bytes = 0  # of bodies, as are the tail's
        self._tail: deque[Reading] = deque()
        self._tail_bytes = 0
        self._tail_id = (number << ID_BITS) + first  # of tail[0], or of the next reading

    @property
    def held(self) -> int:
        """The charge of everything that waits in this lane, wherever it is."""
        return self.charge

    def append(self, readings: Sequence[Reading]) -> int:
        """Take readings in; their charge."""
        count, size = len(readings), size_of(readings)
        self._tail.extend(readings)
        self._tail_bytes += size
        self.counts.received += count
        self.counts.waiting += count
        size += count * ROW_OVERHEAD
        self.charge += size
        return size

    def lend(self, n: int) -> list[Pair]:
        """Up to `n` readings that are in flight from now on, oldest first."""
        lent: list[Pair] = []
        head = self._head
        if head and n > 0:
            lent = [head.popleft() for _ in range(min(n, len(head)))]
            self._head_bytes -= size_of([reading for _, reading in lent])
            n -= len(lent)
        if n > 0 and self._tail and self.tail_open:
            lent += self._take_tail(n)
        self._lent.update(lent)
        return lent

    def _take_tail(self, n: int) -> list[Pair]:
        tail = self._tail
        if n < len(tail):
            taken = [tail.popleft() for _ in range(n)]
        else:
            taken = list(tail)
            tail.clear()
        self._tail_bytes -= size_of(taken)
        first = self._tail_id
        self._tail_id = first + len(taken)
        return list(zip(range(first, self._tail_id), taken, strict=True))

    def put_back(self, ids: Iterable[int]) -> None:
        """Take back what was lent, each to its place. Ids that are not in flight are ignored."""
        back = sorted(self._forget(ids))
        if not back:
            return
        self._head_bytes += size_of([reading for _, reading in back])
        if self._head and self._head[0][0] < back[-1][0]:
            self._head = deque(sorted([*self._head, *back]))
        else:
            self._head.extendleft(reversed(back))

    def acknowledge(self, ids: Iterable[int]) -> int:
        """Forget what was lent: the cloud has it. The charge that became free."""
        count, freed = self._settle(ids)
        self.counts.acknowledged += count
        return freed

    def lent(self, ids: Iterable[int]) -> list[Reading]:
        """The readings of these that are in flight."""
        return [self._lent[id] for id in ids if id in self._lent]

    def discard(self, ids: Iterable[int], reason: str) -> int:
        """Forget what was lent, for a reason. The charge that became free."""
        count, freed = self._settle(ids)
        self._count_dropped(count, reason)
        return freed

    def shed_oldest(self, excess: int, reason: str) -> int:
        """Drop what is not in flight, oldest first, until `excess` is free; the charge that became free."""
        freed = self._shed_head(excess, reason)
        return freed + self._shed_tail(excess - freed, reason)

    def _shed_head(self, excess: int, reason: str) -> int:
        head, gone, freed = self._head, list[int](), 0
        while head and freed < excess:
            id, reading = head.popleft()
            gone.append(id)
            freed += len(reading.body) + ROW_OVERHEAD
        self._head_bytes -= freed - len(gone) * ROW_OVERHEAD
        self._shed(gone, freed, reason)
        return freed

    def _shed_tail(self, excess: int, reason: str) -> int:
        tail, freed, first = self._tail, 0, self._tail_id
        while tail and freed < excess:
            freed += len(tail.popleft().body) + ROW_OVERHEAD
            self._tail_id += 1
        gone = range(first, self._tail_id)
        self._tail_bytes -= freed - len(gone) * ROW_OVERHEAD
        self._shed(gone, freed, reason)
        return freed

    def _shed(self, ids: Sequence[int], freed: int, reason: str) -> None:
        self._remove(len(ids), freed)
        self._count_dropped(len(ids), reason)

    def shed_newest(self, excess: int, at_most: int, reason: str) -> int:
        """Drop up to `at_most` readings from the end until `excess` is free; the charge that became free."""
        count = freed = 0
        while freed < excess and count < at_most:
            body = self._tail.pop().body
            self._tail_bytes -= len(body)
            freed += len(body) + ROW_OVERHEAD
            count += 1
        self._remove(count, freed)
        self._count_dropped(count, reason)
        return freed

    def forsake(self, reason: str) -> int:
        """Give up everything in memory, what is in flight included; how many readings that is."""
        count = len(self._lent) + len(self._head) + len(self._tail)
        self._lent.clear()
        self._head.clear()
        self._tail.clear()
        self._head_bytes = self._tail_bytes = 0
        self._remove(count, self.charge)
        self._count_dropped(count, reason)
        return count

    def ready(self) -> Ready:
        """What could be lent at once."""
        head, tail = self._head, self._tail
        if not self.tail_open or not tail:
            return Ready(len(head), self._head_bytes, head[0][1].stamp) if head else NOTHING
        oldest = head[0][1] if head else tail[0]
        return Ready(len(head) + len(tail), self._head_bytes + self._tail_bytes, oldest.stamp)

    def _forget(self, ids: Iterable[int]) -> list[Pair]:
        pop = self._lent.pop
        return [(id, reading) for id in ids if (reading := pop(id, None)) is not None]

    def _settle(self, ids: Iterable[int]) -> tuple[int, int]:
        pop = self._lent.pop
        gone = [reading for id in ids if (reading := pop(id, None)) is not None]
        freed = size_of(gone) + len(gone) * ROW_OVERHEAD
        self._remove(len(gone), freed)
        return len(gone), freed

    def _remove(self, count: int, freed: int) -> None:
        self.charge -= freed
        self.counts.waiting -= count

    def _count_dropped(self, count: int, reason: str) -> None:
        if count:
            self.counts.dropped[reason] += count


AnyLane = TypeVar("AnyLane", bound=Lane)
