"""AWS IoT Core's quotas per connection, kept by two token buckets.

AWS discards or cuts what exceeds them (AWS IoT Core endpoints and quotas, "Message broker and protocol
limits and quotas"): 100 publishes per second in and out together, 512 KiB of data per second, 100 publishes
in flight without an acknowledgement.

A bucket of rate r and depth d lets through at most r + d in any second, however the seconds are cut. With
r at 90 % and d at 10 % of the quota the long-run rate is 90 % and no second goes above the quota.

A message may be larger than d (52 KiB), and then it is r plus that message: measured, 568,606 bytes in a second
at batches of 95,000. So what went in the last second is remembered too, and the sum is kept below the quota.
Batches of just over a fifth of the quota (105 kB) therefore leave at 80 % of it: a fifth one does not fit.
"""

from __future__ import annotations

import math
from collections import deque

PUBLISHES_PER_S = 100
BYTES_PER_S = 512 * 1024
MAX_PAYLOAD = 128 * 1024  # bytes; a larger PUBLISH is answered with a disconnect
MAX_IN_FLIGHT = 90  # of the 100 that AWS allows; the rest is for presence and subscriptions

RATE_SHARE = 0.90
DEPTH_SHARE = 0.10
WINDOW_S = 1.05  # a second, and what the network may push messages together


class TokenBucket:
    """Fills at `rate` a second up to `depth`. Times are monotonic seconds."""

    def __init__(self, rate: float, depth: float) -> None:
        self._rate = rate
        self._depth = depth
        self._level = depth
        self._at = -math.inf

    def wait(self, cost: float, now: float) -> float:
        """Seconds until `cost` may be taken; 0 is now. A cost above the depth needs a full bucket."""
        self._fill(now)
        missing = min(cost, self._depth) - self._level
        return missing / self._rate if missing > 0 else 0.0

    def take(self, cost: float, now: float) -> None:
        """Take `cost`, going into debt where there is not enough: what has come in cannot be refused."""
        self._fill(now)
        self._level -= cost

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._level = min(self._depth, self._level + (now - self._at) * self._rate)
            self._at = now


class Window:
    """Lets through at most `limit` in any `seconds`. Times are monotonic seconds."""

    def __init__(self, limit: float, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._taken: deque[tuple[float, float]] = deque()
        self._sum = 0.0

    def wait(self, cost: float, now: float) -> float:
        """Seconds until `cost` may be taken; 0 is now. A cost above the limit waits for an empty window."""
        self._forget(now)
        wait, excess = 0.0, self._sum + cost - self._limit
        for at, taken in self._taken:
            if excess <= 0:
                break
            wait, excess = at + self._seconds - now, excess - taken
        return wait

    def take(self, cost: float, now: float) -> None:
        """Take `cost`, whether it fits or not."""
        self._forget(now)
        self._taken.append((now, cost))
        self._sum += cost

    def _forget(self, now: float) -> None:
        while self._taken and self._taken[0][0] <= now - self._seconds:
            self._sum -= self._taken.popleft()[1]


class Quota:
    """Whether one more message may go now, in publishes and in bytes."""

    def __init__(self) -> None:
        self._publishes = TokenBucket(PUBLISHES_PER_S * RATE_SHARE, PUBLISHES_PER_S * DEPTH_SHARE)
        self._bytes = TokenBucket(BYTES_PER_S * RATE_SHARE, BYTES_PER_S * DEPTH_SHARE)
        self._last_second = Window(BYTES_PER_S, WINDOW_S)

    def wait(self, size: int, now: float) -> float:
        """Seconds until a message of `size` bytes (topic and payload) may go."""
        waits = self._publishes.wait(1, now), self._bytes.wait(size, now), self._last_second.wait(size, now)
        return max(waits)

    def charge(self, size: int, now: float) -> None:
        """Count a message, sent or received."""
        self._publishes.take(1, now)
        self._bytes.take(size, now)
        self._last_second.take(size, now)


class NoQuota(Quota):
    """`limits = "none"`: for brokers that have none, and for measurements."""

    def wait(self, size: int, now: float) -> float:
        """Never wait."""
        return 0.0

    def charge(self, size: int, now: float) -> None:
        """Count nothing."""
