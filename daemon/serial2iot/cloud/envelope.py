"""What a telemetry message looks like. Pure: readings in, payload bytes out.

    single   {"thing":"RPI","port":"arduino","run":7,"seq":1042,"time":1763856000123,"values":{...}}
    batch    {"thing":"RPI","port":"arduino","run":7,"readings":[{"seq":1042,"time":...,"values":{...}}, ...]}

The values of a reading are encoded once, when it arrives, and only put in place here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from serial2iot.reading import Reading, Stamp

WallTime = Callable[[Stamp], tuple[int, bool]]
"""When a stamp was, in milliseconds since the epoch, and whether that is only an estimate."""


class Envelope:
    """Writes the messages of one port."""

    def __init__(self, thing: str, port: str, wall_time: WallTime) -> None:
        head = msgspec.json.encode({"thing": thing, "port": port})[:-1].replace(b"%", b"%%")
        self._head = head + b',"run":%d,'
        self._wall_time = wall_time
        self._stamp: Stamp | None = None
        self._time = b""

    def single(self, reading: Reading) -> bytes:
        """One reading, one message."""
        return self._head % reading.run + self._entry(reading)[1:]

    def batch(self, readings: Sequence[Reading], room: int) -> tuple[bytes, int]:
        """As many leading readings of one run as fit into `room` bytes, at least one: payload and number."""
        run = readings[0].run
        head = self._head % run + b'"readings":['
        entries: list[bytes] = []
        room -= len(head) + 1  # "]}" less the comma that the last entry has not
        for reading in readings:
            entry = self._entry(reading)
            room -= len(entry) + 1
            if reading.run != run or (room < 0 and entries):
                break
            entries.append(entry)
        return head + b",".join(entries) + b"]}", len(entries)

    def _entry(self, reading: Reading) -> bytes:
        stamp = reading.stamp
        if stamp is not self._stamp:  # all readings of one chunk share one stamp
            self._stamp, self._time = stamp, self._time_text(stamp)
        return b'{"seq":%d,%b,"values":%b}' % (reading.seq, self._time, reading.body)

    def _time_text(self, stamp: Stamp) -> bytes:
        milliseconds, estimated = self._wall_time(stamp)
        return b'"time":%d' % milliseconds + (b',"time_quality":"estimated"' if estimated else b"")
