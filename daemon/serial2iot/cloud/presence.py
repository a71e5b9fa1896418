"""Whether this device is connected, said to the shadow and confirmed by it: birth, last will, goodbye.

The rules are in `presence_table`; here its actions are done and its events come from. Birth, will and goodbye
go to a plain topic, because the shadow service ignores last wills on reserved topics (AWS IoT developer guide,
"Device Shadow service MQTT topics"); a rule turns them into the shadow.

A policy that does not allow listening makes AWS cut the link. `CUTS` cuts within `CUT_WITHIN_S` of
subscribing mean: go on without listening, name the missing statement, and try again every `LISTEN_AGAIN_S`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Protocol

import structlog

from serial2iot.cloud.delivery import Delivery
from serial2iot.cloud.options import PresenceOptions
from serial2iot.cloud.presence_table import Action, Event, Machine, State

log = structlog.get_logger()

CONNECTED = b'{"state":{"reported":{"connected":true}}}'
DISCONNECTED = b'{"state":{"reported":{"connected":false}}}'

CUTS = 2
CUT_WITHIN_S = 5.0
LISTEN_AGAIN_S = 3600.0


class Link(Protocol):
    """What presence needs of the session."""

    def publish(self, topic: str, payload: bytes, done: Callable[[Delivery], None]) -> None:
        """Publish at QoS 1."""

    def subscribe(
        self, topic: str, on_message: Callable[[str, bytes], None], on_result: Callable[[int | None], None]
    ) -> None:
        """Listen to a topic, now and after every connection."""

    def unsubscribe(self, topic: str) -> None:
        """Listen no more."""


class Presence:
    """Keeps the shadow of one thing truthful, over one link."""

    def __init__(self, options: PresenceOptions, link: Link) -> None:
        self._topic = options.topic
        self._shadow = f"$aws/things/{options.thing}/shadow"
        self._link = link
        self._machine = Machine()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._gone = asyncio.Event()
        self._told = False
        self._connection = 0
        self._listens = False
        self._granted: set[str] = set()
        self._subscribed_at: float | None = None  # and not yet answered
        self._cuts = 0

    @property
    def state(self) -> State:
        """Where presence stands."""
        return self._machine.state

    @property
    def settled(self) -> bool:
        """Whether birth and subscriptions were answered, so that they cannot be why the broker hangs up."""
        return self.state is not State.ANNOUNCING and self._subscribed_at is None

    def link_up(self) -> None:
        """A connection is there: say so before anything else is said on it."""
        self._connection += 1
        self._feed(Event.LINK_UP)
        if not self._listens and self._cuts < CUTS:
            self._listen()
        elif self._listens:
            self._subscribed_at = self._loop.time()  # the session subscribes again

    def link_down(self) -> None:
        """The connection is gone; from here on the will speaks."""
        self._granted.clear()
        if self._subscribed_at is not None and self._loop.time() - self._subscribed_at < CUT_WITHIN_S:
            self._cut_while_subscribing()
        self._subscribed_at = None
        if self.state not in (State.OFFLINE, State.GONE):
            self._feed(Event.LINK_DOWN)

    async def leave(self, budget_s: float) -> bool:
        """Say goodbye and wait for its PUBACK: True if it came. Only then may DISCONNECT follow."""
        self._feed(Event.LEAVE)
        try:
            await asyncio.wait_for(self._gone.wait(), budget_s)
        except TimeoutError:
            log.warning("goodbye_not_acknowledged", topic=self._topic, budget_s=budget_s)
        return self._told

    def _feed(self, event: Event, version: int | None = None) -> None:
        for action in self._machine.feed(event, self._loop.time(), version):
            self._do(action)
        if self._timer is not None:
            self._timer.cancel()
        due = self._machine.due
        self._timer = self._loop.call_at(due, self._feed, Event.DUE) if due is not None else None
        if self.state is State.GONE:
            self._gone.set()

    def _do(self, action: Action) -> None:
        if action is Action.SAY_TRUE:
            self._say(CONNECTED)
        elif action is Action.SAY_FALSE:
            self._say(DISCONNECTED)
        elif action is Action.ASK:
            self._ask()
        else:
            self._tell(action)

    # Saying. -----------------------------------------------------------------------------------------------

    def _say(self, words: bytes) -> None:
        connection = self._connection
        self._link.publish(self._topic, words, lambda delivery: self._answered(words, connection, delivery))

    def _answered(self, words: bytes, connection: int, delivery: Delivery) -> None:
        """Take the broker's answer, which counts only for the connection and the words it was given to."""
        waits_for = {State.ANNOUNCING: CONNECTED, State.LEAVING: DISCONNECTED}.get(self.state)
        if connection != self._connection or words is not waits_for:
            return
        self._log_said(words, delivery)
        self._told = words is DISCONNECTED and delivery.good
        self._feed(Event.TAKEN if delivery.good else Event.NOT_TAKEN)

    def _log_said(self, words: bytes, delivery: Delivery) -> None:
        said = "true" if words is CONNECTED else "false"
        if delivery is Delivery.UNHEARD:
            hint = f"is there a rule SELECT * FROM '{self._topic}' that republishes to the shadow?"
            log.warning("presence_unheard", topic=self._topic, connected=said, hint=hint)
        elif delivery.good:
            log.info("presence_said", topic=self._topic, connected=said)
        elif delivery is not Delivery.CUT:
            hint = f"the policy needs iot:Publish on topic/{self._topic}"
            log.warning("presence_refused", topic=self._topic, connected=said, why=delivery.value, hint=hint)

    def _tell(self, action: Action) -> None:
        if action is Action.TELL_CONFIRMED:
            log.info("presence_confirmed")
        elif action is Action.TELL_CORRECTED:
            log.info("presence_corrected", reason="the shadow said false while this device was connected")
        elif action is Action.TELL_BROKEN:
            log.error(
                "presence_rule_broken",
                reason="the shadow answers, but connected: true does not reach it",
                hint=f"check the rule SELECT * FROM '{self._topic}': is it enabled, does it republish to"
                f" ${self._shadow}/update (two dollar signs), and may its role iot:Publish there?",
            )
        elif action is Action.TELL_SILENT:
            log.warning(
                "presence_unconfirmed",
                reason="the shadow gives no word",
                hint=f"the policy needs iot:Publish on topic/{self._shadow}/get, and iot:Subscribe and"
                f" iot:Receive on {self._shadow}/get/* and {self._shadow}/update/documents",
            )

    # Listening. --------------------------------------------------------------------------------------------

    def _topics(self) -> dict[str, Callable[[str, bytes], None]]:
        return {
            f"{self._shadow}/update/documents": self._on_documents,
            f"{self._shadow}/get/accepted": self._on_accepted,
            f"{self._shadow}/get/rejected": self._on_rejected,
        }

    def _listen(self) -> None:
        self._listens = True
        self._subscribed_at = self._loop.time()
        for topic, on_message in self._topics().items():
            self._link.subscribe(topic, on_message, partial(self._on_suback, topic))

    def _on_suback(self, topic: str, code: int | None) -> None:
        if code is None:
            return  # the link went; link_down judges
        if code >= 0x80:
            self._subscribed_at = None
            self._feed(Event.DEAF)
            return
        self._granted.add(topic)
        if len(self._granted) == len(self._topics()):
            self._subscribed_at, self._cuts = None, 0
            if self.state is State.LISTENING:
                self._ask()

    def _cut_while_subscribing(self) -> None:
        self._cuts += 1
        if self._cuts < CUTS:
            return
        self._listens = False
        for topic in self._topics():
            self._link.unsubscribe(topic)
        log.warning(
            "presence_cannot_listen",
            reason=f"the link was cut {self._cuts} times while subscribing to the shadow",
            hint=f"the policy needs iot:Subscribe on topicfilter/{self._shadow}/update/documents and"
            f" topicfilter/{self._shadow}/get/*",
        )
        self._loop.call_later(LISTEN_AGAIN_S, self._listen_again)

    def _listen_again(self) -> None:
        self._cuts = CUTS - 1  # one more cut is enough
        if self.state not in (State.OFFLINE, State.LEAVING, State.GONE):
            self._listen()

    def _ask(self) -> None:
        if len(self._granted) == len(self._topics()):
            self._link.publish(f"{self._shadow}/get", b"{}", lambda delivery: None)

    def _on_documents(self, topic: str, payload: bytes) -> None:
        self._on_word(_parse(payload).get("current"))

    def _on_accepted(self, topic: str, payload: bytes) -> None:
        self._on_word(_parse(payload))

    def _on_rejected(self, topic: str, payload: bytes) -> None:
        if _parse(payload).get("code") == 404:  # no shadow yet: nothing has ever reached it
            self._on_word({"state": {}})

    def _on_word(self, document: object) -> None:
        if not isinstance(document, dict) or self.state in (State.OFFLINE, State.GONE):
            return
        state = document.get("state")
        reported = state.get("reported") if isinstance(state, dict) else None
        connected = reported.get("connected") if isinstance(reported, dict) else None
        version = document.get("version")
        event = Event.SHADOW_TRUE if connected is True else Event.SHADOW_OTHER
        self._feed(event, version if isinstance(version, int) else None)


def _parse(payload: bytes) -> dict[str, object]:
    try:
        document = json.loads(payload)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
