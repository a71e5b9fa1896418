"""One lane of the spool on its way to the cloud: its topic, its batch, and what is held against it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import structlog

from serial2iot.cloud.batch import Batch, Message
from serial2iot.cloud.delivery import Delivery
from serial2iot.cloud.diagnosis import LinkLoss
from serial2iot.cloud.envelope import WallTime
from serial2iot.cloud.options import TelemetryOptions
from serial2iot.cloud.suspicion import PROBE_EVERY_S, Standing, Suspicion
from serial2iot.reading import Stamp
from serial2iot.spool.contract import Spool

log = structlog.get_logger()

SetAside = dict[str, list[int]]
"""Reasons, and the readings that are to be dropped for them."""


class Lane:
    """What the publisher knows of one port."""

    def __init__(self, options: TelemetryOptions, name: str, wall_time: WallTime) -> None:
        self.name = name
        self.topic = options.topic.replace("{port}", name)
        self._batch = Batch(options, name, self.topic, wall_time)
        self._suspicion = Suspicion()
        self._unheard = False

    def change(self, options: TelemetryOptions, wall_time: WallTime) -> None:
        """Other messages from here on. What is held against the topic stays unless it is another one."""
        topic = options.topic.replace("{port}", self.name)
        self._batch = Batch(options, self.name, topic, wall_time)
        if topic != self.topic:
            self.topic, self._suspicion, self._unheard = topic, Suspicion(), False

    @property
    def alone(self) -> bool:
        """Whether its next reading has to travel alone."""
        return self._suspicion.alone

    @property
    def standing(self) -> Standing:
        """What is thought of its topic."""
        return self._suspicion.standing

    def due_in(self, spool: Spool, stamp: Stamp, now: float, *, drain: bool) -> float:
        """Seconds until a message should go, infinite where there is none. A drain lets no batch fill up."""
        due = self._batch.due_in(spool.ready(self.name), stamp)
        if due == math.inf:
            return due
        return max(0.0 if drain or self.alone else due, self._suspicion.wait(now))

    def link_up(self, now: float) -> None:
        """There is a new connection."""
        self._suspicion.link_up(now)

    def take(self, spool: Spool) -> tuple[Message, bool] | None:
        """Borrow the next message, and say whether it must travel alone."""
        alone = self.alone
        message = self._batch.take_one(spool, self._suspicion.doubted) if alone else self._batch.take(spool)
        return (message, alone) if message else None

    def answered(self, message: Message, delivery: Delivery, now: float, *, alone: bool) -> SetAside:
        """Learn from an answer; what is found guilty by it."""
        if message.topic != self.topic:
            return {}  # sent before the topic was changed: it says nothing of this one
        before = self.standing
        aside: SetAside = {}
        if delivery.good:
            self._suspicion.acknowledged(message.ids)
            aside = self._take_guilty()
            self._note_unheard(delivery is Delivery.UNHEARD)
        elif delivery is Delivery.REFUSED:
            self._suspicion.refused(now)
        elif delivery is Delivery.INVALID and self._suspicion.faulted(message.ids, now, alone=alone):
            aside = {"invalid": message.ids}
        self._note_standing(before, aside)
        return aside

    def cut(self, messages: list[Message], loss: LinkLoss, now: float, *, alone: bool) -> SetAside:
        """Learn from a link that went while these messages were in flight; what is found guilty by it."""
        messages = [message for message in messages if message.topic == self.topic]
        if not messages:
            return {}
        before = self.standing
        aside: SetAside = {}
        ids = messages[0].ids
        if loss.by_message:
            aside = {"invalid": ids} if self._suspicion.faulted(ids, now, alone=alone) else {}
        else:
            self._suspicion.cut(ids, now, alone=alone)
        self._note_standing(before, aside)
        return aside

    def _take_guilty(self) -> SetAside:
        guilty, self._suspicion.set_aside = self._suspicion.set_aside, []
        return {"poison": guilty} if guilty else {}

    def _note_standing(self, before: Standing, aside: SetAside) -> None:
        for reason, ids in aside.items():
            log.error("reading_set_aside", port=self.name, topic=self.topic, reason=reason, readings=len(ids))
        now = self.standing
        if now is Standing.REFUSED and before is not Standing.REFUSED:
            hint = f"the policy needs iot:Publish on topic/{self.topic}; its readings wait in the spool"
            log.error(
                "topic_refused", port=self.name, topic=self.topic, probe_every_s=PROBE_EVERY_S, hint=hint
            )
        elif before is Standing.REFUSED and now is Standing.CLEAR:
            log.info("topic_accepted", port=self.name, topic=self.topic)

    def _note_unheard(self, unheard: bool) -> None:
        if unheard and not self._unheard:
            hint = "nobody subscribes to this topic: is there a rule for it?"
            log.warning("telemetry_unheard", port=self.name, topic=self.topic, hint=hint)
        self._unheard = unheard


class Lanes:
    """All lanes, each with a turn."""

    def __init__(self, options: TelemetryOptions, wall_time: WallTime) -> None:
        self._options = options
        self._wall_time = wall_time
        self._lanes: dict[str, Lane] = {}
        self._turn = 0

    def of(self, name: str) -> Lane:
        """The lane of this name, made at first sight: also of a port that is configured no more."""
        if name not in self._lanes:
            self._lanes[name] = Lane(self._options, name, self._wall_time)
        return self._lanes[name]

    def change(self, options: TelemetryOptions) -> None:
        """Other topics, another layout or other limits of a batch, for all lanes from here on."""
        self._options = options
        for lane in self._lanes.values():
            lane.change(options, self._wall_time)

    def in_turn(self, spool: Spool) -> Iterator[Lane]:
        """Every lane once: those that travel alone first, and each time another one ahead of the rest."""
        lanes = [self.of(name) for name in spool.lanes()]
        if lanes:
            self._turn = (self._turn + 1) % len(lanes)
            lanes = lanes[self._turn :] + lanes[: self._turn]
        return iter(sorted(lanes, key=lambda lane: not lane.alone))

    def link_up(self, now: float) -> None:
        """Tell each lane of a new connection."""
        for lane in self._lanes.values():
            lane.link_up(now)

    def ready(self, spool: Spool) -> int:
        """Readings that wait on topics that are not refused."""
        names = [name for name in spool.lanes() if self.of(name).standing is not Standing.REFUSED]
        return sum(spool.ready(name).readings for name in names)

    def cut(self, messages: Iterable[Message], loss: LinkLoss, now: float, *, alone: bool) -> SetAside:
        """Tell each lane that its messages were cut; what is found guilty by it."""
        by_lane: dict[str, list[Message]] = {}
        for message in messages:
            by_lane.setdefault(message.lane, []).append(message)
        aside: SetAside = {}
        for name, cut in by_lane.items():
            for reason, ids in self.of(name).cut(cut, loss, now, alone=alone).items():
                aside.setdefault(reason, []).extend(ids)
        return aside
