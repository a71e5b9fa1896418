"""Where readings enter the spool: one intake for each lane of a run, whoever brings them.

(port, run, seq) names a reading for ever, and `seq` has no gaps at the source. A reader numbers what it reads from
1, but a lane outlives its reader (a reload makes another one), and a reading may be published by hand between two
of the port's own. So numbers go on here from wherever the lane has come to. Until that happens a chunk costs no
more than its hand-over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from serial2iot.reading import Reading, Stamp


class Intake:
    """Takes readings in for one lane. `append` is the spool's."""

    def __init__(self, name: str, run: int, append: Callable[..., None]) -> None:
        self.name = name
        self.last: Reading | None = None
        self._run = run
        self._append = append
        self._seq = 0
        self._ahead = 0  # of the numbers that the present reader gives

    def take(self, readings: Iterable[Reading]) -> None:
        """From the port's reader, which numbers them without gaps."""
        mine = list(readings)
        if not mine:
            return
        if self._ahead:
            mine = [Reading(run, seq + self._ahead, stamp, body) for run, seq, stamp, body in mine]
        self._enter(mine)

    def add(self, body: bytes, stamp: Stamp) -> Reading:
        """One by hand; as it was numbered."""
        self._ahead += 1
        reading = Reading(self._run, self._seq + 1, stamp, body)
        self._enter([reading])
        return reading

    def begin(self) -> None:
        """A new reader begins, which numbers from 1."""
        self._ahead = self._seq

    def _enter(self, readings: list[Reading]) -> None:
        self.last = readings[-1]
        self._seq = self.last.seq
        self._append(self.name, *readings)
