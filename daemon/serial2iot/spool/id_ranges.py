"""Ids that are done with, kept as runs: a million acknowledged one after another cost as much as one."""

from __future__ import annotations

from collections.abc import Sequence

_MANY = 256
"""Runs from which neighbours are looked for again: acknowledgements out of order leave holes that close."""

Run = tuple[int, int]  # the first and the last id


class IdRanges:
    """A set of ids that only grows, until it is taken."""

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._merge_at = _MANY

    def __bool__(self) -> bool:
        return bool(self._runs)

    def add(self, ids: Sequence[int]) -> None:
        """Add ids, which ascend and are not repeated."""
        if ids and ids[-1] - ids[0] == len(ids) - 1:
            self.add_run(ids[0], ids[-1])
            return
        for id in ids:
            self.add_run(id, id)

    def add_run(self, first: int, last: int) -> None:
        """Add all ids from the first to the last."""
        if self._runs and self._runs[-1][1] == first - 1:
            self._runs[-1] = (self._runs[-1][0], last)
            return
        self._runs.append((first, last))
        if len(self._runs) >= self._merge_at:
            self._merge()

    def take(self) -> list[Run]:
        """Everything added since; the set is empty then."""
        self._merge()
        runs, self._runs = self._runs, []
        self._merge_at = _MANY
        return runs

    def _merge(self) -> None:
        merged: list[Run] = []
        for first, last in sorted(self._runs):
            if merged and merged[-1][1] >= first - 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], last))
            else:
                merged.append((first, last))
        self._runs = merged
        self._merge_at = max(_MANY, 2 * len(merged))
