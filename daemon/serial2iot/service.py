"""The daemon: builds every part, starts them in one order, stops them in the exact reverse.

    start   clock, spool, session, publisher, readers, the socket, READY
    stop    STOPPING, the socket, readers, publisher (drains), presence (goodbye, its PUBACK),
            session (DISCONNECT), spool

Offline, an absent port and a full spool are states of the parts, and none of them ends one. A part that
ends all the same takes the process with it, non-zero; systemd starts it again, and the broker sends the will.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from serial2iot import __version__
from serial2iot.answers import Answers
from serial2iot.cloud.diagnosis import LinkLoss
from serial2iot.cloud.lane import Lanes
from serial2iot.cloud.presence import DISCONNECTED, Presence
from serial2iot.cloud.publisher import Publisher
from serial2iot.cloud.quota import NoQuota, Quota
from serial2iot.cloud.session import Session
from serial2iot.cloud.takeover import Takeover
from serial2iot.counters import sums
from serial2iot.host import door
from serial2iot.host.clock import Clock, boot_id
from serial2iot.host.health import Health
from serial2iot.host.notify import Notify
from serial2iot.host.stored_port import Store
from serial2iot.lookout import Lookout
from serial2iot.readers import Readers
from serial2iot.report import Parts
from serial2iot.settings import Settings
from serial2iot.spool.sqlite import SqliteSpool

log = structlog.get_logger()

# What a clean stop may take, in seconds; together below the unit's TimeoutStopSec.
DRAIN_S = 5.0
GOODBYE_S = 3.0
DISCONNECT_S = 2.0
SPOOL_S = 10.0
MARGIN_S = 5.0
CLOCK_EVERY_S = 1.0


class Service:
    """Owns all parts of one daemon. Made on the loop that runs it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._notify = Notify()
        self._health = Health()
        self._clock = Clock(boot_id())
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._spool = SqliteSpool(settings.spool, wake=self._wake)
        quota = NoQuota() if settings.telemetry.limits == "none" else Quota()
        self._session = Session(
            settings.session,
            will=(settings.presence.topic, DISCONNECTED),
            on_up=self._link_up,
            on_down=self._link_down,
            on_received=lambda size: quota.charge(size, time.monotonic()),
        )
        self._presence = Presence(settings.presence, self._session)
        self._lanes = Lanes(settings.telemetry, self._clock.wall_time)
        self._publisher = Publisher(
            self._spool,
            self._lanes,
            self._session.publish,
            quota,
            now=self._clock.stamp,
            beat=self._health.beat_of("publisher"),
        )
        self._takeover = Takeover()
        self._reload: Callable[[], object] = lambda: None
        self._readers = Readers(self._spool.append, self._clock.stamp, self._health, Store(self._notify))

    async def run(self) -> None:
        """Run until a signal. Raises what ended a part that must not end."""
        self._listen_to_signals()
        await self._clock.look()
        run = await self._spool.open()
        log.info("run_begins", run=run.number, kept_in=run.source, carried_over=self._waiting)
        all_parts = Parts(
            settings=self._settings,
            clock=self._clock,
            spool=self._spool,
            session=self._session,
            presence=self._presence,
            lanes=self._lanes,
            publisher=self._publisher,
            readers=self._readers,
            run=run,
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._run_parts(tasks, all_parts)
        finally:
            await self._spool.close(SPOOL_S)
        log.info("stopped", **sums(self._spool.lanes().values()))

    async def _run_parts(self, tasks: asyncio.TaskGroup, parts: Parts) -> None:
        keeper = tasks.create_task(self._spool.run(), name="spool")
        timing = tasks.create_task(self._clock.watch(self._health.beat_of("clock")), name="clock")
        connecting = tasks.create_task(self._connect(), name="connect")
        publishing = tasks.create_task(self._publisher.run(), name="publisher")
        self._readers.begin(tasks, parts.run.number, self._settings.ports)
        lookout = Lookout(parts, self._health, self._notify)
        looking = tasks.create_task(lookout.watch(), name="lookout")
        answers = Answers(parts, self._notify)
        async with door.Door(self._socket, answers.table()):
            self._reload = lambda: tasks.create_task(answers.reload_unasked(), name="reload")
            self._notify.ready()
            log.info("started", version=__version__, ports=len(self._settings.ports))
            await self._stop.wait()
            self._notify.stopping()
            log.info("stopping", waiting=self._waiting)
            await answers.end()

        self._notify.extend_timeout(DRAIN_S + GOODBYE_S + DISCONNECT_S + SPOOL_S + MARGIN_S)
        await self._readers.end()
        await _end([connecting])
        self._publisher.drain(0.0 if self._hurry.is_set() else DRAIN_S)
        await publishing
        await self._presence.leave(GOODBYE_S)
        await self._session.stop(DISCONNECT_S)
        self._notify.extend_timeout(SPOOL_S + MARGIN_S)
        await _end([looking, timing, keeper])

    async def _connect(self) -> None:
        """Start the session as soon as the clock allows TLS: a certificate is not valid in 1970."""
        not_before = self._settings.credentials.not_before.timestamp()
        if not self._clock.sane(not_before):
            log.warning("clock_not_set", hint="readings are kept; it connects once the Pi has the time")
            while not self._clock.sane(not_before):  # noqa: ASYNC110 - nobody tells when a clock is set
                await asyncio.sleep(CLOCK_EVERY_S)
            await self._clock.look()  # before anything is sent, or a backlog goes out as an estimate
        self._session.start()

    # The link, in the order that matters: the birth goes first. --------------------------------------------

    def _link_up(self) -> None:
        self._presence.link_up()
        self._publisher.link_up()

    def _link_down(self, loss: LinkLoss) -> None:
        blameless = self._presence.settled and self._publisher.blameless
        self._publisher.link_down(loss)
        self._presence.link_down()
        away_s = self._takeover.lost(loss, blameless=blameless)
        if away_s is not None:
            hint = "two programs use one client id: stop the other one, or change mqtt.client_id"
            log.warning(
                "client_id_taken", client_id=self._settings.session.client_id, away_s=away_s, hint=hint
            )
            self._session.stay_away(away_s)

    def _wake(self) -> None:
        self._publisher.wake()

    @property
    def _waiting(self) -> int:
        return sum(lane.waiting for lane in self._spool.lanes().values())

    @property
    def _socket(self) -> Path:
        return door.place(self._settings.spool.path, os.environ.get("RUNTIME_DIRECTORY"))

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        # Before there is anything to reload the configuration has just been read.
        loop.add_signal_handler(signal.SIGHUP, lambda: self._reload())

    def _on_signal(self) -> None:
        """The first signal begins a clean stop, the second cuts its drain short."""
        if self._stop.is_set():
            self._hurry.set()
            self._publisher.drain(0.0)
        self._stop.set()


async def run(settings: Settings) -> int:
    """Run the daemon until a signal; the exit status. A part that failed is logged and ends it with 1."""
    status = 0
    try:
        await Service(settings).run()
    except* Exception as failures:
        for failure in failures.exceptions:
            log.critical("part_failed", error=str(failure), exc_info=failure)
        status = 1
    return status


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks that run for ever, and wait until they have let go of what they hold."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task
