"""Last wills between the end of a connection and their publication.

AWS does not promise when a will is sent, nor that it is sent before what the device says when it is back. So a test
may hold wills, or have each wait a time of its own. The retain flag and the will delay of MQTT 5 are not kept: AWS
lists neither.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from typing import NamedTuple


class Will(NamedTuple):
    """A last will."""

    client_id: str
    topic: str
    payload: bytes
    qos: int


class Wills:
    """Publishes wills: at once, unless a test chose otherwise."""

    def __init__(self, publish: Callable[[Will], None]) -> None:
        self.published: list[Will] = []
        self._publish = publish
        self._held: list[Will] | None = None
        self._delay_s = (0.0, 0.0)
        self._random = random.Random()
        self._numbers = itertools.count()
        self._waiting: dict[int, tuple[asyncio.TimerHandle, Will]] = {}

    @property
    def pending(self) -> list[Will]:
        """Those that are held or wait."""
        return [*(will for _, will in self._waiting.values()), *(self._held or ())]

    def hold(self) -> None:
        """Keep every will that comes due, until `release`."""
        self._held = self._held or []

    def release(self) -> None:
        """Publish those that are held, in order, and hold no more."""
        held, self._held = self._held or [], None
        for will in held:
            self._send(will)

    def delay(self, least_s: float, most_s: float, seed: int | None = None) -> None:
        """Have each will wait a time from this range."""
        self._delay_s = (least_s, most_s)
        self._random = random.Random(seed)

    def due(self, will: Will) -> None:
        """A connection ended so that its will is to be published."""
        if self._held is not None:
            self._held.append(will)
        elif wait_s := self._random.uniform(*self._delay_s):
            number = next(self._numbers)
            timer = asyncio.get_running_loop().call_later(wait_s, self._waited, number)
            self._waiting[number] = (timer, will)
        else:
            self._send(will)

    def forget(self) -> None:
        """Publish none of those that are pending."""
        for timer, _ in self._waiting.values():
            timer.cancel()
        self._waiting.clear()
        self._held = None

    def _waited(self, number: int) -> None:
        self._send(self._waiting.pop(number)[1])

    def _send(self, will: Will) -> None:
        self.published.append(will)
        self._publish(will)
