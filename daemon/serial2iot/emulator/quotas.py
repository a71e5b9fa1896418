"""AWS IoT Core's quotas for one connection, and what a connection used of them. Pure: time is an argument.

From the AWS General Reference, "AWS IoT Core endpoints and quotas", message broker and protocol limits
(https://docs.aws.amazon.com/general/latest/gr/iot-core.html):

- 100 publishes a second, in and out together; what exceeds that is discarded, without a PUBACK.
- 100 unacknowledged publishes from a client; no more are accepted until a PUBACK is returned.
- 512 KiB a second, received and sent; what exceeds that is delayed.
- A payload of 128 KB, a topic of 256 bytes and seven slashes, one CONNECT a second per client id.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

PUBLISHES_PER_S = 100
UNACKNOWLEDGED = 100
BYTES_PER_S = 512 * 1024
PAYLOAD_BYTES = 128 * 1024
TOPIC_BYTES = 256
TOPIC_SLASHES = 7
CONNECT_EVERY_S = 1.0

_BASIC_INGEST = "$aws/rules/"  # this and the rule's name count neither as bytes nor as slashes


class Window:
    """A sum over the last second, and the highest that it ever was."""

    def __init__(self, seconds: float = 1.0) -> None:
        self.sum = 0
        self.highest = 0
        self._seconds = seconds
        self._entries: deque[tuple[float, int]] = deque()

    def add(self, now: float, amount: int) -> None:
        """Count something. `now` never goes back."""
        self.sum_at(now)
        if self._entries and self._entries[-1][0] == now:
            amount_before = self._entries.pop()[1]
            self._entries.append((now, amount_before + amount))
        else:
            self._entries.append((now, amount))
        self.sum += amount
        self.highest = max(self.highest, self.sum)

    def sum_at(self, now: float) -> int:
        """Return what the second before `now` holds."""
        entries, begin = self._entries, now - self._seconds
        while entries and entries[0][0] <= begin:
            self.sum -= entries.popleft()[1]
        return self.sum


class Bucket:
    """Bytes that may pass: `rate` a second, and a second's worth at once."""

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self._level = rate
        self._at = now

    def spend(self, now: float, amount: int) -> float:
        """Take so many bytes; the seconds until the next may pass."""
        self._level = min(self.rate, self._level + (now - self._at) * self.rate) - amount
        self._at = now
        return max(0.0, -self._level / self.rate)


@dataclass(slots=True)
class Usage:
    """What one connection used."""

    publishes: Window = field(default_factory=Window)  # both ways, what was discarded included
    bytes: Window = field(default_factory=Window)  # both ways, everything within TLS
    accepted: Window = field(default_factory=Window)
    discarded: int = 0
    unacknowledged: int = 0
    highest_unacknowledged: int = 0

    def publish(self, now: float) -> None:
        """Count a PUBLISH, whatever becomes of it."""
        self.publishes.add(now, 1)

    def accept(self, now: float) -> bool:
        """Tell whether a PUBLISH is within the quota of a second, and count it there if it is."""
        if self.accepted.sum_at(now) >= PUBLISHES_PER_S:
            self.discarded += 1
            return False
        self.accepted.add(now, 1)
        return True

    def wait_for_puback(self) -> None:
        """Count a PUBLISH that was passed on and waits for its PUBACK."""
        self.unacknowledged += 1
        self.highest_unacknowledged = max(self.highest_unacknowledged, self.unacknowledged)


def topic_too_long(topic: str) -> bool:
    """Tell whether a topic or filter has too many bytes or slashes."""
    if topic.startswith(_BASIC_INGEST):
        topic = topic[len(_BASIC_INGEST) :].partition("/")[2]
    return topic.count("/") > TOPIC_SLASHES or len(topic.encode()) > TOPIC_BYTES
