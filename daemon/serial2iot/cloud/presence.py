"""Whether this device is connected, said to the shadow: birth, last will, goodbye.

Rules:

1. The birth (`connected: true`) is the first PUBLISH of every connection. `link_up` sends it before it
   returns, and nobody else may publish earlier.
2. The last will (`connected: false`) travels in CONNECT. The broker sends it when the link ends unannounced.
3. On a clean stop the goodbye (`connected: false`) is acknowledged before DISCONNECT, because a DISCONNECT
   takes the will back: an unacknowledged goodbye would leave the shadow at true.
4. A birth that was not taken is said again, later and later, as long as the link is up.
5. An answer counts only for the connection it was asked on.

All three go to a plain topic, because the shadow service ignores last wills on reserved topics (AWS IoT
developer guide, "Device Shadow service MQTT topics"); a rule turns them into the shadow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from enum import Enum, auto

import structlog

from serial2iot.backoff import delays
from serial2iot.cloud.delivery import Delivery
from serial2iot.cloud.options import PresenceOptions

log = structlog.get_logger()

CONNECTED = b'{"state":{"reported":{"connected":true}}}'
DISCONNECTED = b'{"state":{"reported":{"connected":false}}}'

Publish = Callable[[str, bytes, Callable[[Delivery], None]], None]


class State(Enum):
    """Where presence stands."""

    OFFLINE = auto()  # no link: the will speaks for us
    ANNOUNCING = auto()  # the birth is on its way
    PRESENT = auto()  # the birth was acknowledged
    LEAVING = auto()  # the goodbye is on its way
    GONE = auto()  # nothing more will be said


class Event(Enum):
    """What can happen."""

    LINK_UP = auto()
    LINK_DOWN = auto()
    TAKEN = auto()  # the broker acknowledged what was said last
    NOT_TAKEN = auto()  # it refused, or did not answer
    LEAVE = auto()


S, E = State, Event

TABLE: dict[tuple[State, Event], State] = {
    (S.OFFLINE, E.LINK_UP): S.ANNOUNCING,
    (S.OFFLINE, E.LEAVE): S.GONE,
    (S.ANNOUNCING, E.TAKEN): S.PRESENT,
    (S.ANNOUNCING, E.NOT_TAKEN): S.ANNOUNCING,
    (S.ANNOUNCING, E.LINK_DOWN): S.OFFLINE,
    (S.ANNOUNCING, E.LEAVE): S.LEAVING,
    (S.PRESENT, E.LINK_DOWN): S.OFFLINE,
    (S.PRESENT, E.LEAVE): S.LEAVING,
    (S.LEAVING, E.TAKEN): S.GONE,
    (S.LEAVING, E.NOT_TAKEN): S.GONE,
    (S.LEAVING, E.LINK_DOWN): S.GONE,
}


class Presence:
    """Says what the table asks for, through `publish`."""

    def __init__(self, options: PresenceOptions, publish: Publish) -> None:
        self._topic = options.topic
        self._publish = publish
        self._connection = 0
        self._again: Iterator[float] = iter(())
        self._timer: asyncio.TimerHandle | None = None
        self._gone = asyncio.Event()
        self._told = False
        self.state = State.OFFLINE

    def link_up(self) -> None:
        """A connection is there: say so before anything else is said on it."""
        self._connection += 1
        self._again = delays(1.0, 60.0)
        self._step(Event.LINK_UP)
        self._say(CONNECTED)

    def link_down(self) -> None:
        """The connection is gone; from here on the will speaks."""
        if self.state is not State.GONE:
            self._step(Event.LINK_DOWN)

    async def leave(self, budget_s: float) -> bool:
        """Say goodbye and wait for its PUBACK: True if it came. Only then may DISCONNECT follow."""
        if self.state is State.OFFLINE:
            self._step(Event.LEAVE)
            return False
        self._step(Event.LEAVE)
        self._say(DISCONNECTED)
        try:
            await asyncio.wait_for(self._gone.wait(), budget_s)
        except TimeoutError:
            log.warning("goodbye_not_acknowledged", topic=self._topic, budget_s=budget_s)
            return False
        return self._told

    def _say(self, words: bytes) -> None:
        connection = self._connection
        self._publish(self._topic, words, lambda delivery: self._answered(words, connection, delivery))

    def _answered(self, words: bytes, connection: int, delivery: Delivery) -> None:
        leaving = self.state is State.LEAVING
        if connection != self._connection or leaving != (words is DISCONNECTED):
            return
        if self.state is State.ANNOUNCING or leaving:
            self._report(words, delivery)
            self._told = leaving and delivery.good
            self._step(Event.TAKEN if delivery.good else Event.NOT_TAKEN)
            if self.state is State.ANNOUNCING:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(next(self._again), self._announce_again, connection)

    def _announce_again(self, connection: int) -> None:
        if connection == self._connection and self.state is State.ANNOUNCING:
            self._say(CONNECTED)

    def _step(self, event: Event) -> None:
        try:
            self.state = TABLE[self.state, event]
        except KeyError:
            raise ValueError(f"presence: {event.name} cannot happen in {self.state.name}") from None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.state is State.GONE:
            self._gone.set()

    def _report(self, words: bytes, delivery: Delivery) -> None:
        said = "true" if words is CONNECTED else "false"
        if delivery is Delivery.UNHEARD:
            hint = f"is there a rule SELECT * FROM '{self._topic}' that republishes to the shadow?"
            log.warning("presence_unheard", topic=self._topic, connected=said, hint=hint)
        elif delivery.good:
            log.info("presence_said", topic=self._topic, connected=said)
        elif delivery is not Delivery.CUT:
            hint = f"the policy needs iot:Publish on topic/{self._topic}"
            log.warning("presence_refused", topic=self._topic, connected=said, why=delivery.value, hint=hint)
