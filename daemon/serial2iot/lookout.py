"""Looks at the whole every few seconds: tells systemd how it is, and the log what only the whole can know.

The watchdog is fed for as long as every part comes round. STATUS is the one line that `systemctl status` shows.
"""

from __future__ import annotations

import asyncio
import time

import structlog

from serial2iot.host.health import Health
from serial2iot.host.notify import Notify
from serial2iot.host.pressure import Look
from serial2iot.host.status import status_line
from serial2iot.report import Parts

log = structlog.get_logger()

EVERY_S = 5.0


class Lookout:
    """One look after another, until cancelled."""

    def __init__(self, parts: Parts, health: Health, notify: Notify) -> None:
        self._parts = parts
        self._health = health
        self._notify = notify

    async def watch(self) -> None:
        """Look often enough for the watchdog."""
        watchdog_s = self._notify.watchdog_s
        every_s = min(EVERY_S, watchdog_s / 3) if watchdog_s else EVERY_S
        while True:
            self._feed_watchdog()
            self._look(time.monotonic())
            await asyncio.sleep(every_s)

    def _feed_watchdog(self) -> None:
        hanging = self._health.hanging()
        if hanging:
            log.error("part_hangs", parts=hanging, hint="the watchdog will restart the daemon")
        else:
            self._notify.alive()

    def _look(self, now: float) -> None:
        parts = self._parts
        lanes = parts.spool.lanes()
        received = {name: counts.received for name, counts in lanes.items()}
        waiting = sum(counts.waiting for counts in lanes.values())
        parts.rates.look(received, now)
        self._weigh(Look(now, parts.session.up and parts.publisher.held_back, waiting, received))
        devices = {name: line.reader.device for name, line in parts.readers.lines.items()}
        self._notify.status(status_line(parts.session.up, parts.rates.total, waiting, devices))

    def _weigh(self, look: Look) -> None:
        """Say once that a port outruns the quota, and once that it is over."""
        pressure = self._parts.pressure
        before = pressure.outrun
        new = pressure.look(look, self._parts.settings.telemetry.layout)
        if new:
            log.warning(
                "quota_outrun",
                port=new.port,
                reason=f"{new.rate:.0f} readings/s come, and AWS takes {new.leaves:.0f}/s; the rest waits",
                hint=new.hint,
                port_rate=round(new.port_rate, 1),
                waiting=look.waiting,
            )
        elif before and not pressure.outrun:
            log.info("quota_kept_again", waiting=look.waiting)
