"""A lane whose readings may be on a disk as well, or only there.

    lent | head | segments (on the disk only) | tail            ids ascend from left to right

Rules:

1. An id below `_committed_to` is safe: if its reading is still unacknowledged it is on the disk.
2. An id below `_written_to` may be on the disk, because it was part of a commit, even of one that failed.
   Only such ids are deleted there, and only once they are settled: `gone` collects them.
3. No id of a segment is in memory or settled. A segment ends where readings went past it, so segments are
   loaded whole without asking which rows are known already.
4. The tail is not handed out while a segment is before it, unless the disk cannot be reached: then what is in
   memory goes first and the segments follow later. It is not handed out either while `withheld`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from serial2iot.reading import Reading
from serial2iot.spool.contract import ROW_OVERHEAD
from serial2iot.spool.id_ranges import IdRanges
from serial2iot.spool.lane import ID_BITS, Lane, runs_of, size_of
from serial2iot.spool.store import Loaded, Place
from serial2iot.spool.tables import Extent

DAMAGED = "damaged"
MARKS = 64
"""More than there are while the disk works; while it does not, age does not matter."""


@dataclass(slots=True)
class Segment:
    """Readings that are on the disk only: ids from `first` up to, not including, `end`."""

    first: int
    end: int
    count: int
    charge: int


class DiskLane(Lane):
    """The readings of one port, in memory and on the disk. `first` is the number of its next reading.

    `met` says that the disk was asked what it holds of this lane.
    """

    def __init__(self, name: str, number: int, first: int, *, met: bool) -> None:
        super().__init__(number, first)
        self.place = Place(name, number << ID_BITS)
        self.met = met
        self.first = self._tail_id
        self.segments: deque[Segment] = deque()
        self.gone = IdRanges()
        self._marks: deque[tuple[int, float]] = deque(maxlen=MARKS)  # when some of the readings came
        self._committed_to = self._written_to = self._tail_id
        self._reachable = True
        self._withheld = False

    @property
    def on_disk(self) -> int:
        """The charge of what is on the disk only."""
        return sum(segment.charge for segment in self.segments)

    @property
    def held(self) -> int:
        """The charge of everything that waits in this lane, each reading once."""
        return self.charge + self.on_disk

    @property
    def fresh(self) -> int:
        """The charge of the tail: what a commit could take out of memory."""
        return self._tail_bytes + len(self._tail) * ROW_OVERHEAD

    @property
    def end(self) -> int:
        """One more than the last id."""
        return self._tail_id + len(self._tail)

    def restrict(self, *, reachable: bool, withheld: bool) -> None:
        """Say whether segments can be loaded, and whether the tail has to wait for its commit."""
        self._reachable, self._withheld = reachable, withheld
        self._review()

    # What is uncommitted, and since when. ------------------------------------------------------------------

    def mark(self, count: int, now_s: float, grain_s: float) -> bool:
        """Note when the last `count` readings came, once in `grain_s`; True if there was no mark."""
        if not self._marks or now_s - self._marks[-1][1] >= grain_s:
            self._marks.append((self.end - count, now_s))
            return len(self._marks) == 1
        return False

    def uncommitted_since(self) -> float | None:
        """When the oldest unacknowledged reading came that is not on the disk, or up to a mark earlier."""
        ids = [id for id, _ in self._uncommitted_pairs()]
        if self._tail:
            ids.append(self._tail_id)
        if not ids:
            self._marks.clear()
            return None
        oldest = min(ids)
        while len(self._marks) > 1 and self._marks[1][0] <= oldest:
            self._marks.popleft()
        return self._marks[0][1] if self._marks else float("-inf")

    def uncommitted(self) -> list[tuple[int, Sequence[Reading]]]:
        """All that has to go to the disk: runs of readings by their first id. They count as written now."""
        runs: list[tuple[int, Sequence[Reading]]] = [*runs_of(sorted(self._uncommitted_pairs()))]
        if self._tail:
            runs.append((self._tail_id, list(self._tail)))
        self._written_to = max(self._written_to, self.end)
        return runs

    def committed(self, end: int, room: int) -> None:
        """Everything below `end` is on the disk: keep `room` bytes of it at hand and forget the rest."""
        self._committed_to = end
        while self._marks and self._marks[0][0] < end:
            self._marks.popleft()
        count = end - self._tail_id
        if count > 0:
            pairs = self._take_tail(count)
            kept = 0 if self.segments else self._fitting(pairs, room)
            self._head.extend(pairs[:kept])
            self._head_bytes += size_of([reading for _, reading in pairs[:kept]])
            self._leave_on_disk(pairs[kept:])
        self._review()

    def lose_uncommitted(self, reason: str) -> int:
        """Give up everything that is in memory only; how many readings that is."""
        count = len(self._uncommitted_pairs()) + len(self._tail)
        self.counts.waiting -= count
        self._count_dropped(count, reason)
        return count

    # What comes from the disk. -----------------------------------------------------------------------------

    def carry(self, extent: Extent, damaged: int = 0) -> None:
        """An earlier run left this, below all that is in memory, and `damaged` rows beyond salvage."""
        self.met = True
        self.counts.carried_over += extent.rows + damaged
        self.counts.waiting += extent.rows + damaged
        self._lose(damaged)
        if extent.rows:
            self.segments.appendleft(Segment(*extent))
        self._review()

    def recount(self, found: Sequence[Extent]) -> None:
        """What a database opened anew holds of each segment. What is in memory will be committed again."""
        for segment, extent in zip(self.segments, found, strict=True):
            self._lose(segment.count - extent.rows)
            segment.count, segment.charge = extent.rows, extent.charge
        self.segments = deque(segment for segment in self.segments if segment.count)
        self._committed_to = self.place.base
        self._review()

    def wants(self, room: int) -> bool:
        """Whether so little is at hand that the next piece should be loaded."""
        return bool(self.segments) and self._reachable and self._head_charge < room // 2

    def loaded(self, loaded: Loaded) -> None:
        """Take a piece of the first segment in."""
        segment, pairs = self.segments[0], loaded.pairs
        size = size_of([reading for _, reading in pairs])
        charge = size + len(pairs) * ROW_OVERHEAD
        self._head_bytes += size
        self.charge += charge
        if self._head and pairs and self._head[-1][0] > pairs[0][0]:
            self._head = deque(sorted([*self._head, *pairs]))
        else:
            self._head.extend(pairs)
        self.gone.add(loaded.damaged)
        self._lose(len(loaded.damaged))
        segment.first = loaded.next
        segment.count -= len(pairs) + len(loaded.damaged)
        segment.charge -= charge
        if segment.first >= segment.end:
            self._lose(segment.count)  # rows that vanished, or more than there should be
            self.segments.popleft()
        self._review()

    # What leaves. ------------------------------------------------------------------------------------------

    def shed_oldest(self, excess: int, reason: str) -> int:
        """Drop the oldest, wherever it is. What is on the disk only has to be loaded first."""
        freed = self._shed_head(excess, reason)
        if not self.segments or not self._reachable:
            freed += self._shed_tail(excess - freed, reason)
        return freed

    def shed_memory(self, excess: int, reason: str) -> int:
        """Drop the oldest of what is in memory only; if that is not enough, of all that is in memory."""
        freed = 0
        if self._head and self._head[0][0] >= self._committed_to:
            freed = self._shed_head(excess, reason)
        freed += self._shed_tail(excess - freed, reason)
        return freed + self._shed_head(excess - freed, reason)

    def _settle(self, ids: Iterable[int]) -> tuple[int, int]:
        ids = list(ids)
        if min(ids) < self._written_to:
            self.gone.add(sorted({id for id in ids if id < self._written_to and id in self._lent}))
        return super()._settle(ids)

    def _shed(self, ids: Sequence[int], freed: int, reason: str) -> None:
        super()._shed(ids, freed, reason)
        self.gone.add([id for id in ids if id < self._written_to])

    @property
    def _head_charge(self) -> int:
        return self._head_bytes + len(self._head) * ROW_OVERHEAD

    def _uncommitted_pairs(self) -> list[tuple[int, Reading]]:
        safe = self._committed_to
        lent = [pair for pair in self._lent.items() if pair[0] >= safe]
        if self._head and self._head[-1][0] >= safe:
            lent += [pair for pair in self._head if pair[0] >= safe]
        return lent

    def _fitting(self, pairs: Sequence[tuple[int, Reading]], room: int) -> int:
        """How many of the first of these fit into the head."""
        used = self._head_charge
        for count, (_, reading) in enumerate(pairs):
            used += len(reading.body) + ROW_OVERHEAD
            if used > room:
                return count
        return len(pairs)

    def _leave_on_disk(self, pairs: Sequence[tuple[int, Reading]]) -> None:
        if not pairs:
            return
        charge = size_of([reading for _, reading in pairs]) + len(pairs) * ROW_OVERHEAD
        self.charge -= charge
        first, end = pairs[0][0], pairs[-1][0] + 1
        if self.segments and self.segments[-1].end == first:
            last = self.segments[-1]
            last.end, last.count, last.charge = end, last.count + len(pairs), last.charge + charge
        else:
            self.segments.append(Segment(first, end, len(pairs), charge))

    def _lose(self, count: int) -> None:
        """Rows that are gone without a word; less than none means that there were more than were known."""
        if count < 0:
            self.counts.carried_over -= count
        self.counts.waiting -= count
        self._count_dropped(max(0, count), DAMAGED)

    def _review(self) -> None:
        self.tail_open = not self._withheld and not (self.segments and self._reachable)
