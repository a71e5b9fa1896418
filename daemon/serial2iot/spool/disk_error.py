"""What storage can do to us, in the few words that decide what to do about it.

SQLite says it by result codes (https://www.sqlite.org/rescode.html); the low byte is the primary code.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Literal

from serial2iot.errors import SpoolError

Kind = Literal["disk_full", "read_only", "busy", "failing", "damaged"]

_OF_PRIMARY_CODE: dict[int, Kind] = {
    1: "damaged",  # SQLITE_ERROR: our statements are right, so it is the schema that is not
    5: "busy",  # SQLITE_BUSY
    6: "busy",  # SQLITE_LOCKED
    8: "read_only",  # SQLITE_READONLY
    11: "damaged",  # SQLITE_CORRUPT
    13: "disk_full",  # SQLITE_FULL
    18: "damaged",  # SQLITE_TOOBIG: a length that nobody wrote
    20: "damaged",  # SQLITE_MISMATCH: likewise a type
    26: "damaged",  # SQLITE_NOTADB
}
_OF_ERRNO: dict[int, Kind] = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EROFS: "read_only",
}
_HINTS: dict[Kind, str] = {
    "disk_full": "make room on the file system of {directory}; readings wait in memory until then",
    "read_only": "the file system of {directory} is read-only (see `dmesg`: it may be failing) or not ours to"
    " write; readings wait in memory until that changes",
    "busy": "another process has the database in {directory} open: end it, a daemon or a shell; readings"
    " wait in memory until then",
    "failing": "see `dmesg` for errors of the disk under {directory}; readings wait in memory until it works",
    "damaged": "the database is set aside and replaced; a failing SD card is the usual cause, see `dmesg`",
}


_IO_ERROR = 10  # SQLITE_IOERR
_PROBE_BYTES = 4096


class DiskError(SpoolError):
    """The storage did not do what it was asked. `kind` is what matters, the message what the system said.

    `io` is set where the device itself gave an error: what cannot be read today will not be read tomorrow.
    """

    def __init__(self, kind: Kind, message: str, directory: Path, *, io: bool = False) -> None:
        super().__init__(message, hint=_HINTS[kind].format(directory=directory))
        self.kind: Kind = kind
        self.io = io and kind == "failing"


def of_code(code: int, message: str, directory: Path) -> DiskError:
    """What an SQLite result code means; of the vague ones, the file system is asked for the cause."""
    primary = code & 0xFF
    kind = _OF_PRIMARY_CODE.get(primary) or _ask(directory)
    return DiskError(kind, message, directory, io=primary == _IO_ERROR)


def of_os_error(error: OSError, directory: Path) -> DiskError:
    """What an error of the operating system means."""
    return DiskError(_OF_ERRNO.get(error.errno or 0) or _ask(directory), str(error), directory)


def _ask(directory: Path) -> Kind:
    """Try it without SQLite, whose codes do not always tell a full disk from a read-only or a bad one."""
    probe = directory / f".probe-{os.getpid()}"
    try:
        try:
            probe.write_bytes(bytes(_PROBE_BYTES))
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        return _OF_ERRNO.get(error.errno or 0, "failing")
    return "failing"
