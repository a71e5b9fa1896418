"""What to do about a line that says nothing any more: a ladder, climbed for as long as the silence lasts.

| rung | after so much silence | what is done     |
|------|-----------------------|------------------|
| 1    | `silent_after_s`      | say so, reopen   |
| 2    | 2 x                   | pulse DTR        |
| 3    | 4 x                   | reopen           |
| 4    | 8 x                   | pulse DTR        |

and so on, twice as late each time and never more than an hour apart. The first byte ends it.
"""

from __future__ import annotations

from enum import Enum

RUNG_AT_MOST_S = 3600.0


class Remedy(Enum):
    """What may wake a line."""

    REOPEN = "reopen"
    PULSE_DTR = "pulse_dtr"


class Silence:
    """One line's silence. `after_s` 0: silence is normal. Time in monotonic seconds."""

    def __init__(self, after_s: float, now: float) -> None:
        self._after_s = after_s
        self._since = self._rung_at = now
        self.rung = 0

    @property
    def due(self) -> float | None:
        """When the next rung is."""
        if not self._after_s:
            return None
        wait_s = self._after_s * 2.0 ** min(max(0, self.rung - 1), 30)
        return self._rung_at + min(wait_s, max(RUNG_AT_MOST_S, self._after_s))

    def lasted_s(self, now: float) -> float:
        """For how long nothing came."""
        return now - self._since

    def heard(self, now: float) -> bool:
        """Bytes came; whether that ends a silence."""
        self._since = self._rung_at = now
        ended, self.rung = self.rung > 0, 0
        return ended

    def climb(self, now: float) -> Remedy | None:
        """The remedy that is due, if one is."""
        due = self.due
        if due is None or now < due:
            return None
        self.rung += 1
        self._rung_at = now
        return Remedy.REOPEN if self.rung % 2 else Remedy.PULSE_DTR

    def wait(self, now: float) -> None:
        """The line was not there until now: that is no silence of its own."""
        if not self.rung:
            self._since = self._rung_at = now
