"""Who holds a device: by what /proc says of every process's descriptors, and of locks.

Root sees every holder. Anybody else sees the processes of the same user, and whoever locked the device
(flock(2), /proc/locks): that a program has it open without a lock stays unknown.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Holder(NamedTuple):
    """A process that has a device open."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


def holders(device: str) -> list[Holder]:
    """Every process that is seen to hold `device`, ourselves left out; by pid."""
    return _named(device, _having_open, _having_locked)


def lockers(device: str) -> list[Holder]:
    """Those of them that keep others out."""
    return _named(device, _having_locked)


def _named(device: str, *ways: Callable[[os.stat_result], Iterator[int]]) -> list[Holder]:
    try:
        status = Path(device).stat()
    except OSError:
        return []
    pids = {pid for way in ways for pid in way(status)} - {os.getpid()}
    return [Holder(pid, _name(pid)) for pid in sorted(pids)]


def _having_open(device: os.stat_result) -> Iterator[int]:
    for process in PROC.iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # not ours to look at, or ended meanwhile
            if any(_is(entry, device) for entry in (process / "fd").iterdir()):
                yield int(process.name)


def _is(entry: Path, device: os.stat_result) -> bool:
    try:
        # Its name first: it costs no look at what may be a dead network file system.
        if not str(entry.readlink()).startswith("/"):
            return False
        status = entry.stat()
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == (device.st_dev, device.st_ino)


def _having_locked(device: os.stat_result) -> Iterator[int]:
    """Lines as in proc(5): `1: FLOCK  ADVISORY  WRITE 708 08:01:13548 0 EOF`."""
    place = f"{os.major(device.st_dev):02x}:{os.minor(device.st_dev):02x}:{device.st_ino}"
    with contextlib.suppress(OSError):
        for line in (PROC / "locks").read_text().splitlines():
            fields = line.split()
            if place in fields:
                pid = fields[fields.index(place) - 1]
                if pid.isdigit() and pid != "0" and (PROC / pid).exists():
                    yield int(pid)


def _name(pid: int) -> str:
    """What people call the program: of one in Python its module or script, not the interpreter."""
    try:
        name = (PROC / str(pid) / "comm").read_text().strip()
        words = (PROC / str(pid) / "cmdline").read_text(errors="replace").split("\0")[1:]
    except OSError:
        return "?"
    if not name.startswith("python"):
        return name
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1]
    return next((Path(word).name for word in words if word and not word.startswith("-")), name)
