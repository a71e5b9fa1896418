"""What was set aside for good, kept where a person can look: one JSON line a reading, beside the database.

    {"at":1763856000123,"port":"arduino","reason":"poison","run":7,"seq":1042,"time":1763855999000,"values":{...}}

It is written after the fact and is nobody's way back into the cloud: the books have counted the reading as
dropped. Two files of `MOST_BYTES` at most, the older one named `.1`; a disk that takes nothing is said once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue

import msgspec
import structlog

from serial2iot.reading import Reading

log = structlog.get_logger()

FILE_NAME = "dead-letters.jsonl"
MOST_BYTES = 1 << 20
STOP_WITHIN_S = 1.0


class DeadLetters:
    """Writes to `folder`, in a thread of its own that begins with the first letter. `wall` is epoch seconds."""

    def __init__(self, folder: Path, wall: Callable[[], float]) -> None:
        self.path = folder / FILE_NAME
        self._wall = wall
        self._letters: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._fails = False

    def keep(self, lane: str, readings: Sequence[Reading], reason: str) -> None:
        """Have readings written down; returns at once."""
        at = int(self._wall() * 1000)
        self._letters.put(b"".join(_line(at, lane, reading, reason) for reading in readings))
        if self._thread is None:
            # A daemon thread: a disk that never answers must not keep the process from ending.
            self._thread = threading.Thread(target=self._work, name="dead letters", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Wait a moment for what is still to be written."""
        if self._thread is not None:
            self._letters.put(None)
            self._thread.join(STOP_WITHIN_S)

    def _work(self) -> None:
        while (lines := self._letters.get()) is not None:
            try:
                self._write(lines)
                self._fails = False
            except OSError as failure:
                if not self._fails:
                    log.warning("dead_letters_not_kept", file=str(self.path), reason=str(failure))
                self._fails = True

    def _write(self, lines: bytes) -> None:
        if self.path.exists() and self.path.stat().st_size + len(lines) > MOST_BYTES:
            self.path.replace(self.path.with_name(FILE_NAME + ".1"))
        with self.path.open("ab") as file:
            file.write(lines)


def _line(at: int, lane: str, reading: Reading, reason: str) -> bytes:
    return (
        msgspec.json.encode(
            {
                "at": at,
                "port": lane,
                "reason": reason,
                "run": reading.run,
                "seq": reading.seq,
                "time": reading.stamp.wall_ms,
                "values": msgspec.Raw(reading.body),
            }
        )
        + b"\n"
    )
