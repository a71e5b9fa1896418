"""What systemd is told: sd_notify(3), through sdnotify. Without a notify socket every call does nothing.

And what it keeps for us: descriptors that outlive the process (FDSTORE=1, systemd.service(5)
FileDescriptorStoreMax=). They go over the notifier's own socket as SCM_RIGHTS, and come back at the next start as
3, 4, ... with their names in LISTEN_FDNAMES (sd_listen_fds(3)).
"""

from __future__ import annotations

import contextlib
import os
import socket
import time

import sdnotify

LISTEN_FDS_START = 3  # sd_listen_fds(3)
_COLON = "%3a"


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

    def reloading(self) -> None:
        """A reload begins, and `ready` ends it. The time stamp is what Type=notify-reload wants."""
        self._notifier.notify(
            f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"
        )

    def extend_timeout(self, seconds: float) -> None:
        """The stop is at work and may take this much longer, whatever TimeoutStopSec= says."""
        self._notifier.notify(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def store(self, name: str, fd: int) -> None:
        """Let systemd keep a copy of a descriptor under a name, beside what it may keep under it already."""
        if self._notifier.socket is not None:
            with contextlib.suppress(OSError):
                socket.send_fds(self._notifier.socket, [f"FDSTORE=1\nFDNAME={_fdname(name)}".encode()], [fd])

    def forget(self, name: str) -> None:
        """Let systemd close every copy that it keeps under a name."""
        self._notifier.notify(f"FDSTOREREMOVE=1\nFDNAME={_fdname(name)}")

    def stopping(self) -> None:
        """On the way out."""
        self._notifier.notify("STOPPING=1")


def take_back() -> dict[str, int]:
    """The descriptors that an earlier run left with systemd, by name; they are ours to close. Once a process.

    What has no name of its own, or the name of another, is closed.
    """
    count, pid = os.environ.pop("LISTEN_FDS", ""), os.environ.pop("LISTEN_PID", "")
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    if not count.isdecimal() or pid != str(os.getpid()):
        return {}
    kept: dict[str, int] = {}
    for fd, name in zip(range(LISTEN_FDS_START, LISTEN_FDS_START + int(count)), names, strict=False):
        os.set_inheritable(fd, False)
        name = name.replace(_COLON, ":")
        if name in kept:
            os.close(fd)
        else:
            kept[name] = fd
    return kept


def _fdname(name: str) -> str:
    """A name in sd_notify's alphabet: printable ASCII without a colon, which port names may have."""
    return name.replace(":", _COLON)
