"""From the spool to the cloud: one loop, one method per mode, each returning the next.

    offline -> catching_up -> live            a backlog leaves first, then readings as they come
       ^____________|___________|             whenever the link is lost
    any -> draining -> (end)                  on a stop: PUBACKs are waited for, the rest stays spooled

A reading leaves the spool only by a good PUBACK, or set aside with a reason. Everything else gives it back.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable

import structlog

from serial2iot.backoff import delays
from serial2iot.cloud.batch import Message
from serial2iot.cloud.delivery import Delivery
from serial2iot.cloud.diagnosis import LinkLoss
from serial2iot.cloud.lane import Lane, Lanes
from serial2iot.cloud.quota import MAX_IN_FLIGHT, Quota
from serial2iot.reading import Stamp
from serial2iot.spool.contract import Spool

log = structlog.get_logger()

BACKLOG = 1_000  # readings waiting at a connection, from which catching up is worth a word in the log
BEAT_S = 5.0  # the loop comes round at least this often, so that a watchdog can tell it from a hung one
SLOW_DOWN_S = (1.0, 60.0)  # floor and cap of the pause after "too fast" or no answer

Publish = Callable[[str, bytes, Callable[[Delivery], None]], None]
Mode = Callable[[], Awaitable["Mode | None"]]


class Publisher:
    """Drives the spool's lanes through one session.

    `publish` is `Session.publish`; `now` is a stamp of this moment; `beat` is called once a turn.
    """

    def __init__(
        self,
        spool: Spool,
        lanes: Lanes,
        publish: Publish,
        quota: Quota,
        *,
        now: Callable[[], Stamp],
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._spool = spool
        self._lanes = lanes
        self._publish = publish
        self._quota = quota
        self._now = now
        self._beat = beat
        self._bell = asyncio.Event()
        self._link = False
        self._stopping = False
        self._drain_until = 0.0
        self._in_flight: dict[int, Message] = {}
        self._alone = False  # the message in flight travels alone, to find out who is to blame
        self._handle = 0
        self._heard: set[str] = set()  # lanes of which something was acknowledged on this connection
        self._held: tuple[Message, bool] | None = None  # built, alone or not, and waiting for the quota
        self._slow_down = delays(*SLOW_DOWN_S)
        self._quiet_until = 0.0
        self.mode = "offline"

    @property
    def in_flight(self) -> int:
        """Messages without an answer."""
        return len(self._in_flight)

    @property
    def held_back(self) -> bool:
        """Whether a message is built and waits for nothing but the quota."""
        return self._held is not None and time.monotonic() >= self._quiet_until

    @property
    def blameless(self) -> bool:
        """Whether nothing that is in flight can be why the broker hangs up."""
        return all(message.lane in self._heard for message in self._in_flight.values())

    def wake(self) -> None:
        """Something changed: look again. Cheap, and may be called at any time on the loop."""
        self._bell.set()

    def link_up(self) -> None:
        """A connection is there and the birth is on its way: from now on it may be published."""
        self._link = True
        self._heard.clear()
        self._lanes.link_up(time.monotonic())
        self.wake()

    def link_down(self, loss: LinkLoss) -> None:
        """The connection is gone. What was in flight goes back; who was in flight may be to blame."""
        self._link = False
        cut, self._in_flight = list(self._in_flight.values()), {}
        if loss.unexplained or loss.by_message:
            for reason, ids in self._lanes.cut(cut, loss, time.monotonic(), alone=self._alone).items():
                self._spool.drop(ids, reason)
        for message in cut:
            self._give_back(message)
        if self._held is not None:
            self._give_back(self._held[0])
            self._held = None
        self._alone = False
        self.wake()

    async def run(self) -> None:
        """Publish until `drain` has ended it."""
        mode: Mode | None = self._offline
        while mode is not None:
            self.mode = mode.__name__.strip("_")
            mode = await mode()
        self.mode = "ended"

    def drain(self, budget_s: float) -> None:
        """Let `run` end: it sends what it still can within the budget and waits for the PUBACKs."""
        self._stopping = True
        self._drain_until = time.monotonic() + budget_s
        self.wake()

    # The modes. --------------------------------------------------------------------------------------------

    async def _offline(self) -> Mode | None:
        while not self._link:
            if self._stopping:
                return None
            await self._rest(None)
        return self._catching_up

    async def _catching_up(self) -> Mode | None:
        waiting = self._lanes.ready(self._spool)
        started = time.monotonic()
        if waiting >= BACKLOG:
            log.info("catching_up", waiting=waiting)
        while (next_mode := self._leave()) is None:
            pause = self._send_due()
            if self._lanes.ready(self._spool) < BACKLOG:
                if waiting >= BACKLOG:
                    log.info("caught_up", readings=waiting, took_s=round(time.monotonic() - started, 1))
                return self._live
            await self._rest(pause)
        return next_mode

    async def _live(self) -> Mode | None:
        while (next_mode := self._leave()) is None:
            await self._rest(self._send_due())
        return next_mode

    async def _draining(self) -> Mode | None:
        while self._link and (left := self._drain_until - time.monotonic()) > 0:
            pause = self._send_due(drain=True)
            if pause is None and not self._in_flight:
                break
            await self._rest(left if pause is None else min(pause, left))
        for message in self._in_flight.values():
            self._give_back(message)
        self._in_flight.clear()
        return None

    def _leave(self) -> Mode | None:
        if self._stopping:
            return self._draining
        return None if self._link else self._offline

    async def _rest(self, seconds: float | None) -> None:
        """Wait for the bell, at most so long."""
        self._beat()
        try:
            async with asyncio.timeout(BEAT_S if seconds is None else min(seconds, BEAT_S)):
                await self._bell.wait()
        except TimeoutError:
            pass
        self._bell.clear()

    # Sending. ----------------------------------------------------------------------------------------------

    def _send_due(self, *, drain: bool = False) -> float | None:
        """Send every message that is due and allowed.

        Returns the seconds until the next one may go, or None where only a bell can tell.
        """
        soonest = math.inf
        for lane in self._lanes.in_turn(self._spool):
            while (pause := self._try(lane, drain=drain)) == 0.0:
                pass
            if pause is None:  # the window is full, or whoever travels alone needs an empty road
                return None
            soonest = min(soonest, pause)
        return None if soonest == math.inf else soonest

    def _try(self, lane: Lane, *, drain: bool) -> float | None:
        """Send one message, of this lane or what waits for the quota.

        Returns 0 if it went, the seconds until one may go (infinite: there is none), or None where the
        answers that are still out have to come first.
        """
        now = time.monotonic()
        if now < self._quiet_until:
            return self._quiet_until - now
        if self._held is None:
            pause = lane.due_in(self._spool, self._now(), now, drain=drain)
            if pause > 0:
                return pause
            if self._alone or len(self._in_flight) >= (1 if lane.alone else MAX_IN_FLIGHT):
                return None
            self._held = lane.take(self._spool)
            if self._held is None:
                return math.inf
        return self._send_held(now)

    def _send_held(self, now: float) -> float:
        assert self._held is not None
        message, alone = self._held
        pause = self._quota.wait(message.size, now)
        if pause == 0.0:
            self._held = None
            self._send(message, now, alone=alone)
        return pause

    def _send(self, message: Message, now: float, *, alone: bool) -> None:
        self._quota.charge(message.size, now)
        self._alone = alone
        self._handle += 1
        handle = self._handle
        self._in_flight[handle] = message
        self._publish(message.topic, message.payload, lambda delivery: self._answered(handle, delivery))

    def _answered(self, handle: int, delivery: Delivery) -> None:
        message = self._in_flight.get(handle)
        if message is None:
            return  # given back when the link went
        if delivery is Delivery.CUT:
            return  # the link's own news follows and says why
        del self._in_flight[handle]
        alone, self._alone = self._alone, False
        if delivery.good:
            self._heard.add(message.lane)
            self._spool.ack(message.ids)
            self._slow_down = delays(*SLOW_DOWN_S)
        lane = self._lanes.of(message.lane)
        for reason, ids in lane.answered(message, delivery, time.monotonic(), alone=alone).items():
            self._spool.drop(ids, reason)
        if delivery in (Delivery.QUOTA, Delivery.TIMED_OUT, Delivery.FAILED):
            self._slow(message, delivery, time.monotonic())
        self._give_back(message)
        self.wake()

    def _slow(self, message: Message, delivery: Delivery, now: float) -> None:
        """Pause, once for all that was in flight: one hang of the broker times out many messages."""
        if now < self._quiet_until:
            return
        pause = next(self._slow_down)
        self._quiet_until = now + pause
        log.warning("slowing_down", topic=message.topic, why=delivery.value, pause_s=pause)

    def _give_back(self, message: Message) -> None:
        self._spool.release(message.ids)
        self._spool.release(message.beside)
