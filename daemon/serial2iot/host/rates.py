"""How fast readings come, port by port, between two looks a few seconds apart. Pure; monotonic seconds."""

from __future__ import annotations

from collections.abc import Mapping


class Rates:
    """Readings a second, from counts that only grow."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._counts: dict[str, int] = {}
        self._rates: dict[str, float] = {}

    def look(self, received: Mapping[str, int], now: float) -> None:
        """Take the counts in."""
        took_s = now - self._at if self._at is not None else 0.0
        if took_s > 0:
            self._rates = {
                name: (count - self._counts.get(name, 0)) / took_s for name, count in received.items()
            }
        self._at, self._counts = now, dict(received)

    def of(self, port: str) -> float:
        """Of one port, over the last stretch between two looks; 0 before the second."""
        return self._rates.get(port, 0.0)

    @property
    def total(self) -> float:
        """Of all ports."""
        return sum(self._rates.values())
