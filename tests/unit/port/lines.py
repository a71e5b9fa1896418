"""What tests of the port room share: a pty whose master is in our hands, and a reader on it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Self

from serial2iot.port.options import PortOptions
from serial2iot.port.reader import Reader
from serial2iot.port.serial_port import SerialPort
from serial2iot.reading import Reading, Stamp
from serial2iot.wire.options import WireOptions
from serial2iot.wire.pipeline import Pipeline


class Pty:
    """A line and its other end."""

    def __init__(self) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        self.device = os.ttyname(self._slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()

    def say(self, data: bytes) -> None:
        """All of it at once."""
        assert os.write(self.master, data) == len(data)

    def hang_up(self) -> None:
        """Pull the plug; safe to do twice."""
        for fd in (self._slave, self.master):
            if fd >= 0:
                os.close(fd)
        self.master = self._slave = -1


def stamp() -> Stamp:
    """This moment."""
    return Stamp(int(time.time() * 1000), int(time.monotonic() * 1000), "boot", True)


class Taken(list[Reading]):
    """The spool's place: keeps what it is given."""

    @property
    def bodies(self) -> list[bytes]:
        return [reading.body for reading in self]


def reader(
    device: str | Path, taken: Taken, wire: WireOptions | None = None, *, silent_after_s: float = 0.0
) -> Reader:
    """A reader that looks for its device fifty times a second."""
    port = SerialPort(PortOptions("board", str(device)))
    line = Pipeline(wire or WireOptions())
    return Reader(
        "board",
        port,
        line,
        taken.extend,
        run=1,
        now=stamp,
        silent_after_s=silent_after_s,
        look_every_s=0.02,
    )


@contextlib.asynccontextmanager
async def reading(reader: Reader) -> AsyncIterator[None]:
    """The reader reads."""
    task = asyncio.create_task(reader.read())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], object]) -> None:
    """Wait for it, for 5 s at most."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


_HOLD = """
import fcntl, os, pathlib, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
if sys.argv[3] == "locked":
    fcntl.flock(fd, fcntl.LOCK_EX)
pathlib.Path("/proc/self/comm").write_text(sys.argv[2])
print(flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def held(device: str, name: str, *, locked: bool = False) -> Iterator[int]:
    """Another program of that name has the device open; its process id."""
    arguments = [sys.executable, "-c", _HOLD, device, name, "locked" if locked else ""]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdin and program.stdout
        program.stdout.readline()
        try:
            yield program.pid
        finally:
            program.stdin.close()
            program.wait(10)
