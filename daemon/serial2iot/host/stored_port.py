"""Serial lines that outlive the daemon: systemd keeps their open descriptors from one run to the next.

Opening a line raises DTR, and that resets an Arduino. So a copy of the descriptor goes into systemd's store (FDSTORE=1)
while the line is open, and the next run's reader adopts it instead of opening. Rules:

1. At a clean stop the bytes of the unfinished frame follow in a memfd, and nothing is lost: the frame goes on where
   it was. Without it (a crash) the first bytes may be the end of a frame, and are dropped and counted. It is used
   once: left in the store it would be wrong after the next crash.
2. Whatever closes the line while the daemon runs has the store's copy closed first: a copy keeps the lock, and keeps
   a device that was pulled out half alive.
3. What is left in the store for no configured port is closed.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from typing import NamedTuple

from serial2iot.host.notify import Notify, take_back
from serial2iot.port.options import PortOptions
from serial2iot.port.serial_port import SerialPort

# Names in the store, before the port's. FDNAME= takes 255 characters (sd_notify(3)), a port's name has 64 at most.
LINE, REST = "line-", "rest-"


class Kept(NamedTuple):
    """What was left of a line: its descriptor, and the bytes of the unfinished frame if they are known."""

    fd: int
    unfinished: bytes | None


class Store:
    """The lines in systemd's store, by the ports' names."""

    def __init__(self, notify: Notify) -> None:
        self._notify = notify
        self._left = take_back()

    def take(self, port: str) -> Kept | None:
        """What an earlier run left of this port; the caller's to close. Once."""
        rest = self._left.pop(REST + port, None)
        if rest is not None:
            self._notify.forget(REST + port)
        unfinished = None if rest is None else _content(rest)
        fd = self._left.pop(LINE + port, None)
        return None if fd is None else Kept(fd, unfinished)

    def close_others(self, ports: Iterable[str]) -> None:
        """Close what none of these ports can claim: the configuration has changed."""
        wanted = {kind + port for port in ports for kind in (LINE, REST)}
        for name in self._left.keys() - wanted:
            os.close(self._left.pop(name))
            self._notify.forget(name)

    def put_line(self, port: str, fd: int) -> None:
        """Keep an open line."""
        self._notify.store(LINE + port, fd)

    def put_unfinished(self, port: str, unfinished: bytes) -> None:
        """Keep the bytes with which the next run goes on. Where that fails, it begins as after a crash."""
        with contextlib.suppress(OSError), os.fdopen(os.memfd_create(REST + port), "wb", 0) as rest:
            rest.write(unfinished)
            self._notify.store(REST + port, rest.fileno())

    def drop_line(self, port: str) -> None:
        """Keep it no more."""
        self._notify.forget(LINE + port)


class StoredPort(SerialPort):
    """A SerialPort whose descriptor is in the store while it is open, and stays there once `keep` is set."""

    def __init__(self, options: PortOptions, store: Store) -> None:
        super().__init__(options)
        self._name = options.name
        self._store = store
        self.keep = False

    async def open(self) -> str:
        """Open the device; see SerialPort."""
        device = await super().open()
        self._put()
        return device

    def adopt(self, fd: int) -> str:
        """Take over what is open; see SerialPort."""
        try:
            device = super().adopt(fd)
        except BaseException:
            self._store.drop_line(self._name)
            raise
        self._put()
        return device

    def close(self) -> None:
        """Let go of the device; see SerialPort."""
        if not self.keep and self._storable:
            self._store.drop_line(self._name)
        super().close()

    @property
    def _storable(self) -> bool:
        """A line that is open; not a network connection, whose other end may count on our closing it."""
        return self.fileno is not None and stat.S_ISCHR(os.fstat(self.fileno).st_mode)

    def _put(self) -> None:
        if self.fileno is not None and self._storable:
            self._store.put_line(self._name, self.fileno)


def _content(rest: int) -> bytes | None:
    """The bytes in a memfd, which is closed; None where they cannot be read."""
    try:
        return os.pread(rest, os.fstat(rest).st_size, 0)
    except OSError:
        return None
    finally:
        os.close(rest)
