"""What time it is, and which boot this is.

Stamps carry the wall clock for people and the monotonic clock for intervals. A Raspberry Pi has no battery
clock: after a power cut it starts somewhere in the past until NTP answers, so a stamp also says whether the
wall clock could be trusted when the bytes arrived.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from serial2iot.reading import Stamp

SYNCHRONISED = Path("/run/systemd/timesync/synchronized")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """The kernel's id of this boot; systemd hands it in where the unit's sandbox hides /proc/sys."""
    given = os.environ.get("SERIAL2IOT_BOOT_ID", "")
    if given:
        return given.replace("-", "")
    try:
        return BOOT_ID.read_text().strip().replace("-", "")
    except OSError:
        return "unknown"


class Clock:
    """Makes stamps. `wall` and `monotonic` in seconds, replaced by tests."""

    def __init__(
        self, boot: str, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._boot = boot
        self._wall = wall
        self._monotonic = monotonic

    def stamp(self) -> Stamp:
        """This moment."""
        return Stamp(int(self._wall() * 1000), int(self._monotonic() * 1000), self._boot, True)

    def wall_time(self, stamp: Stamp) -> tuple[int, bool]:
        """When a stamp was, in milliseconds since the epoch, and whether that is an estimate."""
        return stamp.wall_ms, False
