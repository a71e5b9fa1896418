"""When a commit is due. Pure: times are arguments, in monotonic seconds."""

from __future__ import annotations

from collections.abc import Iterable

from serial2iot.spool.disk_lane import DiskLane

GRAINS = 16
"""Into how many marks `commit_after_s` is divided: a commit comes at most that part of it early."""
TIDY_AFTER_S = 1.0
"""The least pause before acknowledged readings are removed from the disk for their own sake."""


class Schedule:
    """The rule of `commit_after_s`, and the two reasons to commit for another's sake."""

    def __init__(self, commit_after_s: float) -> None:
        self.grain_s = commit_after_s / GRAINS
        self._after_s = commit_after_s
        self._pressed = False
        self._gone_since: float | None = None

    @property
    def pressed(self) -> bool:
        """Whether a commit was asked for that is not to wait."""
        return self._pressed

    def press(self) -> None:
        """Memory runs short: commit at once."""
        self._pressed = True

    def note_gone(self, lanes: Iterable[DiskLane], now_s: float) -> bool:
        """Look for settled readings that are to be removed from the disk; True if they are the first."""
        if self._gone_since is not None or not any(lane.gone for lane in lanes):
            return False
        self._gone_since = now_s
        return True

    def begun(self) -> None:
        """A commit takes all there is."""
        self._pressed, self._gone_since = False, None

    def due_at(self, lanes: Iterable[DiskLane], now_s: float) -> float | None:
        """When the next commit is due; None where there is nothing to commit."""
        if self._pressed:
            return now_s
        dues = [at + self._after_s for lane in lanes if (at := lane.uncommitted_since()) is not None]
        if self._gone_since is not None:
            dues.append(self._gone_since + max(self._after_s, TIDY_AFTER_S))
        return min(dues, default=None)
