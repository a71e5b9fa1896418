"""What systemd is told: sd_notify(3), through sdnotify. Without a notify socket every call does nothing."""

from __future__ import annotations

import os

import sdnotify


class Notify:
    """One method per message that the unit's `Type=notify` and `WatchdogSec=` live on."""

    def __init__(self) -> None:
        self._notifier = sdnotify.SystemdNotifier()
        self._status = ""

    @property
    def watchdog_s(self) -> float | None:
        """Seconds within which systemd wants a sign of life, or None (sd_watchdog_enabled(3))."""
        usec, pid = os.environ.get("WATCHDOG_USEC"), os.environ.get("WATCHDOG_PID")
        if not usec or (pid and int(pid) != os.getpid()):
            return None
        return int(usec) / 1e6

    def ready(self) -> None:
        """Started: `systemctl start` returns."""
        self._notifier.notify("READY=1")

    def status(self, line: str) -> None:
        """What `systemctl status` shows; said only when it changed."""
        if line != self._status:
            self._status = line
            self._notifier.notify(f"STATUS={line}")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._notifier.notify("WATCHDOG=1")

    def stopping(self) -> None:
        """On the way out."""
        self._notifier.notify("STOPPING=1")
