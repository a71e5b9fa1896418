"""The number of this run of the daemon: it goes up at each start and never repeats.

(port, run, seq) names a reading for ever, so a repeated number would let two readings share a name. It is
kept twice, in a file of its own beside the database and in the database, because either may be lost. Rules:

1. The greater of the two wins, plus one. Nothing kept anywhere, in a directory and a database that are both
   new, is a first start: 1.
2. The file is replaced whole: written, synchronised, renamed, and its directory synchronised.
3. What was kept and cannot be read, or what can be kept nowhere, makes it the clock in seconds, which is
   greater than any count of starts; never less than what is known plus one.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Literal, NamedTuple

FILE_NAME = "run"
_DIGITS = 15  # more is not a number that was counted, and no JSON reader could tell it from its neighbour


class RunNumber(NamedTuple):
    """A run, and where it is safe: `clock` says that the number was not counted but guessed from the time."""

    number: int
    source: Literal["file", "database", "clock"]


def next_run(directory: Path, database_value: int | None, now_s: float) -> RunNumber:
    """Find the number of the run that begins now, and keep it in the file.

    `database_value` is 0 in a new database and None where none can be had; `now_s` is since the epoch.
    The caller puts the result into the database. Where its source is `database` that is the only place left:
    a caller that fails there asks again with None.
    """
    file_value, whole = _read(directory / FILE_NAME)
    last = max(file_value or 0, database_value or 0)
    counted = last > 0 or (whole and database_value == 0)
    number = last + 1 if counted else max(1, int(now_s))
    if _write(directory / FILE_NAME, number):
        return RunNumber(number, "file" if counted else "clock")
    if counted and database_value is not None:
        return RunNumber(number, "database")
    return RunNumber(max(number, int(now_s)), "clock")


def _read(path: Path) -> tuple[int | None, bool]:
    """The number in the file, None where there is none; and whether the file is whole, or was never there."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None, True
    except (OSError, ValueError):
        return None, False
    return (int(text), True) if text.isdecimal() and len(text) <= _DIGITS else (None, False)


def _write(path: Path, number: int) -> bool:
    """Replace the file so that after a power cut either the old or the new number is in it."""
    new = path.with_suffix(".new")
    try:
        with new.open("w", encoding="ascii") as file:
            file.write(f"{number}\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        return False
    return True
