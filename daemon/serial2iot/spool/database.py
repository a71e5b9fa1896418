"""SQLite, as far as the spool needs it. The only module that imports sqlite3.

Rules:

1. Write-ahead log with `synchronous=FULL`: a transaction that has returned is on the disk. One transaction is
   one fsync, plus two more whenever the log is folded back into the file (about every MiB).
2. Locked for this process alone: there is then no `-shm` file, nothing is mapped into memory that an I/O
   error could turn into a SIGBUS, and no second daemon writes behind our back.
3. Every failure leaves as `DiskError`. A connection belongs to the thread that made it.

`secure_delete` is off because Debian builds SQLite with it on: every page that becomes free would be written.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from serial2iot.spool.disk_error import DiskError, of_code

SYNCHRONOUS = "FULL"

_PRAGMAS = (
    "page_size = 4096",
    "locking_mode = EXCLUSIVE",  # before the first use of the log, else the -shm file is made
    "journal_mode = WAL",
    "synchronous = {synchronous}",
    "secure_delete = OFF",
    "wal_autocheckpoint = 256",  # pages: a log that is damaged early loses all that comes after it
    "journal_size_limit = 1048576",  # bytes: what one great commit grew is cut back
    "cache_size = -512",  # KiB
)
_READING_PRAGMAS = ("cell_size_check = ON", "trusted_schema = OFF")


class Database:
    """One connection. Raises DiskError, here and everywhere."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        uri = f"file:{quote(str(path.absolute()))}?mode={'ro' if read_only else 'rwc'}"
        with self._translated():
            self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0)
            # A body may have been stored as text by a flipped bit; nothing here needs text decoded strictly.
            self._connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        try:
            for pragma in _READING_PRAGMAS if read_only else _READING_PRAGMAS + _PRAGMAS:
                self.execute("PRAGMA " + pragma.format(synchronous=SYNCHRONOUS))
        except BaseException:
            self.close()
            raise

    def execute(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        """All rows that a statement gives."""
        with self._translated():
            return self._connection.execute(sql, arguments).fetchall()

    def value(self, sql: str, *arguments: object) -> Any:
        """The first column of the first row; None where there is no row."""
        rows = self.execute(sql, *arguments)
        return rows[0][0] if rows else None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; on the disk when it ends without an exception."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.rollback()
            raise

    def close(self) -> None:
        """Let go of the file; a healthy connection folds its log back into it first."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:  # text in a damaged file, or SQLite's own words about it
            raise DiskError("damaged", f"text that is none: {error.reason}", self.path.parent) from error
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", None)
            if code is None:
                raise  # a mistake of ours, not the disk's
            raise of_code(code, str(error), self.path.parent) from error
