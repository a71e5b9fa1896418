"""A recording: the raw bytes of a line with their times, in a file that people can read, edit and send.

JSON, one object a line. First what it is, then what came, with `at` in seconds since the recording began:

    {"recording": 1, "device": "/dev/ttyACM0", "baud": 115200, "began": "2026-11-23T04:12:07+00:00"}
    {"at": 0.0, "event": "open", "fresh": false}
    {"at": 0.104, "bytes": "{\\"t\\":23.4}\\r\\n"}
    {"at": 9.731, "event": "lost"}

`bytes` has one character for each byte (ISO 8859-1: U+0000 to U+00FF), so that text can be read as it is.
`fresh` is true where nothing can have been said before. What follows `lost` came after the next `open`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from serial2iot.errors import PortError

VERSION = 1
LONGEST_LINE = 1 << 20  # a chunk has 64 KiB, each byte of it at most 6 characters


class Chunk(NamedTuple):
    """Bytes that came together, `at` seconds after the begin."""

    at: float
    data: bytes


class Event(NamedTuple):
    """What happened to the line: `open` or `lost`."""

    at: float
    what: str
    fresh: bool = False


class Recorder:
    """Writes one to a text file that is open."""

    def __init__(self, file: TextIO, device: str, baud: int, began: datetime) -> None:
        self._file = file
        self._put(recording=VERSION, device=device, baud=baud, began=began.isoformat(timespec="seconds"))

    def chunk(self, at: float, data: bytes) -> None:
        """Bytes came."""
        self._put(at=round(at, 4), bytes=data.decode("latin-1"))

    def opened(self, at: float, *, fresh: bool) -> None:
        """The line was opened."""
        self._put(at=round(at, 4), event="open", fresh=fresh)

    def lost(self, at: float) -> None:
        """The line was lost."""
        self._put(at=round(at, 4), event="lost")

    def _put(self, **fields: object) -> None:
        self._file.write(json.dumps(fields) + "\n")


def read(path: Path) -> Iterator[Chunk | Event]:
    """What a file holds, in order, a line at a time. Raises PortError that names the line that is none of ours."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), ""), 1):
                try:
                    entry = _entry(json.loads(line), first=number == 1)
                except (ValueError, TypeError, KeyError) as error:
                    hint = "a recording is made by: serial2iot record PORT FILE"
                    raise PortError(f"{path}, line {number}: not a recording's", hint=hint) from error
                if entry is not None:
                    yield entry
    except (OSError, UnicodeDecodeError) as error:
        raise PortError(f"{path} cannot be read: {error}") from error


def _entry(fields: Any, *, first: bool) -> Chunk | Event | None:
    if first:
        if fields["recording"] != VERSION:
            raise ValueError("of another version")
        return None
    if "bytes" in fields:
        return Chunk(float(fields["at"]), fields["bytes"].encode("latin-1"))
    if fields["event"] not in ("open", "lost"):
        raise ValueError("an unknown event")
    return Event(float(fields["at"]), fields["event"], bool(fields.get("fresh", False)))
