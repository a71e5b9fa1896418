"""Whether every part still comes round: what feeds the watchdog.

Each loop beats once a turn, and turns at least every few seconds or says that it is waiting for the outside.
A loop that hangs stops beating; systemd then ends the process and starts it again. A timer alone would feed
the watchdog for a daemon that is dead inside.
"""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 20.0  # a part that has not beaten for so long hangs; loops turn every 5 s or less


class Health:
    """The beats of all parts."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._last: dict[str, float] = {}

    def beat_of(self, part: str) -> Callable[[], None]:
        """Enlist a part; what it calls once a turn."""

        def beat() -> None:
            self._last[part] = self._monotonic()

        beat()
        return beat

    def leave(self, part: str) -> None:
        """A part has ended, as it was asked to: nobody waits for it any more."""
        self._last.pop(part, None)

    def hanging(self) -> list[str]:
        """The parts that have not come round lately."""
        now = self._monotonic()
        return [part for part, at in self._last.items() if now - at > PATIENCE_S]
