"""What runs behind the broker: each rule and the shadow service, as clients of its private listener.

They know nothing of devices: how those connect, and what they may do, is decided before a message gets here.
Each rule has a link of its own, so that a slow or broken one holds up no other, as in AWS.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Callable

import structlog

from serial2iot.emulator.link import Arrival, Link
from serial2iot.emulator.rules import ActionFailed, Rule
from serial2iot.emulator.shadow import REQUEST_FILTERS, ShadowKey, Shadows, parse_request
from serial2iot.emulator.shadow_document import ShadowDocument

log = structlog.get_logger()


class RuleRunner:
    """Runs one rule on everything its filter matches.

    `enabled` and `may_publish` are for a test: a rule that somebody disabled, and one whose role does not let it
    republish.
    """

    def __init__(self, port: int, rule: Rule) -> None:
        self.enabled = rule.enabled
        self.may_publish = True
        self.link = Link(port, [rule.topic_filter], self._arrived)
        self._rule = rule
        self._delay_s = (0.0, 0.0)
        self._random = random.Random()
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.TimerHandle] = {}

    def delay(self, least_s: float, most_s: float, seed: int | None = None) -> None:
        """Have each run wait a time from this range, so that runs may overtake each other."""
        self._delay_s = (least_s, most_s)
        self._random = random.Random(seed)

    def forget(self) -> None:
        """Drop the runs that wait."""
        for timer in self._waiting.values():
            timer.cancel()
        self._waiting.clear()

    def _arrived(self, arrival: Arrival) -> None:
        if not self.enabled:
            return
        if wait_s := self._random.uniform(*self._delay_s):
            number = next(self._numbers)
            self._waiting[number] = asyncio.get_running_loop().call_later(
                wait_s, self._waited, number, arrival
            )
        else:
            self._run(arrival)

    def _waited(self, number: int, arrival: Arrival) -> None:
        del self._waiting[number]
        self._run(arrival)

    def _run(self, arrival: Arrival) -> None:
        for outcome in self._rule.run(arrival.topic, arrival.payload):
            if isinstance(outcome, ActionFailed):
                log.error("rule_failed", rule=self._rule.name, topic=arrival.topic, reason=outcome.reason)
            elif not self.may_publish:
                reason = f"its role does not allow iot:Publish on topic/{outcome.topic}"
                log.error("rule_failed", rule=self._rule.name, topic=arrival.topic, reason=reason)
            else:
                self.link.send(*outcome)


class ShadowService:
    """Answers what is asked of shadows. `on_change` is called after each update and delete.

    Last wills are not heard (IoT developer guide, "Device Shadow service MQTT topics").
    """

    def __init__(self, port: int, on_change: Callable[[ShadowKey, ShadowDocument | None], None]) -> None:
        self.shadows = Shadows()
        self.link = Link(port, REQUEST_FILTERS, self._arrived)
        self._on_change = on_change
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition on the shadows is true; looks after every change."""
        while not condition():
            await self._changed.wait()

    def _arrived(self, arrival: Arrival) -> None:
        if arrival.is_will or (request := parse_request(arrival.topic)) is None:
            return
        key, operation = request
        before = self.shadows.document(key)
        for reply in self.shadows.request(key, operation, arrival.payload, time.time()):
            self.link.send(*reply)
        after = self.shadows.document(key)
        if after is not before:
            self._changed.set()
            self._changed = asyncio.Event()
            self._on_change(key, after)
