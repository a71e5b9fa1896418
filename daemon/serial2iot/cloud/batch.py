"""When a message closes, and what goes into it.

`single`: each reading is a message, due at once. `batch`: readings of one port and run, due when there are
`max_readings`, or `max_bytes` of them, or the oldest has waited `max_age_s`, whichever comes first. A backlog
is older than that, so it leaves in full batches by the same rule.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from serial2iot.cloud.envelope import Envelope, WallTime
from serial2iot.cloud.options import TelemetryOptions
from serial2iot.cloud.quota import MAX_PAYLOAD
from serial2iot.reading import Reading, Stamp
from serial2iot.spool.contract import Ready, Spool

ENTRY_BYTES = 45
"""What `{"seq":..,"time":..,"values":..},` adds to a body: only for deciding when a batch is likely full."""


class Message(NamedTuple):
    """One PUBLISH on its way, and the readings that it carries."""

    lane: str
    topic: str
    payload: bytes
    ids: list[int]
    beside: list[int]  # lent and held back: a reading under doubt, while another one is tried in its place

    @property
    def size(self) -> int:
        """Bytes as AWS meters them: topic and payload."""
        return len(self.topic) + len(self.payload)


class Batch:
    """The next message of one lane."""

    def __init__(self, options: TelemetryOptions, lane: str, topic: str, wall_time: WallTime) -> None:
        self._lane = lane
        self._topic = topic
        self._envelope = Envelope(options.thing, lane, wall_time)
        self._single = options.layout == "single"
        self._most = 1 if self._single else options.max_readings
        self._room = min(options.max_bytes, MAX_PAYLOAD) - len(topic.encode())
        self._max_age_ms = options.max_age_s * 1000

    def due_in(self, ready: Ready, now: Stamp) -> float:
        """Seconds until a message should go: 0 is now, infinity means that there is nothing to send."""
        if ready.since is None:
            return math.inf
        full = ready.readings >= self._most or ready.bytes + ready.readings * ENTRY_BYTES >= self._room
        if full or ready.since.boot != now.boot:
            return 0.0
        return max(0.0, (self._max_age_ms - (now.mono_ms - ready.since.mono_ms)) / 1000)

    def take(self, spool: Spool) -> Message | None:
        """Borrow from the spool what the next message carries.

        A reading that no message can carry (more than 128 KiB) is dropped as `too_large`.
        """
        while lent := spool.peek(self._lane, self._most):
            if message := self._message(spool, lent, []):
                return message
        return None

    def take_one(self, spool: Spool, instead_of: int | None = None) -> Message | None:
        """Borrow a single reading; the one after `instead_of` where there is one."""
        while lent := spool.peek(self._lane, 1 if instead_of is None else 2):
            beside = [id for id, _ in lent if id == instead_of] if len(lent) == 2 else []
            others = [(id, reading) for id, reading in lent if id not in beside]
            spool.release(id for id, _ in others[1:])
            if message := self._message(spool, others[:1], beside):
                return message
        return None

    def _message(self, spool: Spool, lent: list[tuple[int, Reading]], beside: list[int]) -> Message | None:
        payload, count = self._write([reading for _, reading in lent])
        spool.release(id for id, _ in lent[count:])
        ids = [id for id, _ in lent[:count]]
        if len(payload) > MAX_PAYLOAD:
            spool.drop(ids, "too_large")
            spool.release(beside)
            return None
        return Message(self._lane, self._topic, payload, ids, beside)

    def _write(self, readings: list[Reading]) -> tuple[bytes, int]:
        if self._single:
            return self._envelope.single(readings[0]), 1
        return self._envelope.batch(readings, self._room)
