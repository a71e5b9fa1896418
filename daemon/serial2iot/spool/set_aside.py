"""Files that are put out of the way, under a name that says why and when.

    spool.db.damaged-20251123T040506   (and -wal)   could not be read; what could be salvaged was
    spool.db.newer-20251123T040506     (and -wal)   written by a later release, intact; never deleted
    spool.db.new                                    a replacement in the making

Three damaged files are kept, for whoever wants to look; a card that damages them again and again must not be
filled by them. A replacement takes the place of the damaged file only when it is whole, so a power cut at any
moment leaves either the damaged file, to be salvaged again, or the whole replacement.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Literal

KEPT = 3
_BESIDE = ("-wal", "-shm")  # what SQLite keeps beside a database, its own name last


def replacement(path: Path) -> Path:
    """Where the replacement of a database is made."""
    return path.with_name(path.name + ".new")


def set_aside(path: Path, why: Literal["damaged", "newer"], now_s: float) -> Path:
    """Rename a database and what belongs to it; its new name. `now_s` is seconds since the epoch."""
    stem = f"{path.name}.{why}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now_s))}"
    aside, again = path.with_name(stem), 1
    while aside.exists():
        again += 1
        aside = path.with_name(f"{stem}-{again}")
    for suffix in (*_BESIDE, ""):
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(aside.with_name(aside.name + suffix))
    synchronise(path.parent)
    return aside


def put_in_place(path: Path) -> None:
    """Let the replacement take the place that `set_aside` made free."""
    replacement(path).rename(path)
    synchronise(path.parent)


def discard(path: Path) -> None:
    """Remove a database and what belongs to it, if it is there."""
    for suffix in (*_BESIDE, ""):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def kept(path: Path) -> tuple[str, ...]:
    """The names of all databases that were set aside, oldest first."""
    found = [file for why in ("damaged", "newer") for file in path.parent.glob(f"{path.name}.{why}-*")]
    return tuple(sorted((file.name for file in found if not file.name.endswith(_BESIDE)), key=_date))


def prune(path: Path) -> None:
    """Remove all damaged databases but the latest."""
    damaged = [name for name in kept(path) if name.startswith(f"{path.name}.damaged-")]
    for name in damaged[:-KEPT]:
        discard(path.with_name(name))


def synchronise(directory: Path) -> None:
    """Put the names in a directory on the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _date(name: str) -> str:
    return name.rpartition(".")[2].partition("-")[2]
