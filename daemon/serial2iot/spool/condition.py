"""How the storage is, when to try it again, and how that is told: at its edges only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import structlog

from serial2iot.backoff import delays
from serial2iot.spool.disk_error import DiskError, Kind

log = structlog.get_logger()

RETRY_S = (1.0, 30.0)  # floor and cap of the pause between attempts
IO_ERRORS = 3
"""Errors of the device in a row after which what cannot be read is given up, and the rest is salvaged."""


class Condition:
    """Healthy, or failing in one of a few ways. Times are monotonic seconds."""

    def __init__(self, now_s: float) -> None:
        self.failure: DiskError | None = None
        self.since_s = now_s
        self.retry_at = now_s
        self._io_errors = 0
        self._attempts = 0
        self._delays: Iterator[float] = delays(*RETRY_S)

    @property
    def state(self) -> Literal["healthy"] | Kind:
        """One word for status."""
        return self.failure.kind if self.failure else "healthy"

    @property
    def unreadable(self) -> bool:
        """Whether the device gave so many errors that waiting for it is no use."""
        return self._io_errors >= IO_ERRORS

    def failed(self, failure: DiskError, now_s: float) -> None:
        """An attempt failed."""
        self._io_errors = self._io_errors + 1 if failure.io else 0
        self._attempts += 1
        say = log.debug
        if failure.kind != self.state:
            say = log.warning
            if self.failure is None:
                self.since_s, self._attempts = now_s, 1
        self.failure = failure
        self.retry_at = now_s + next(self._delays)
        say("spool_storage_failed", state=failure.kind, error=str(failure), hint=failure.hint)

    def went_well(self) -> None:
        """Everything that was wanted of the disk was done, reading included."""
        self._io_errors = 0

    def recovered(self, now_s: float) -> None:
        """Writing works."""
        if self.failure is None:
            return
        lasted_s = round(now_s - self.since_s, 1)
        log.info("spool_storage_recovered", was=self.state, lasted_s=lasted_s, attempts=self._attempts)
        self.failure, self.since_s = None, now_s
        self._delays = delays(*RETRY_S)
