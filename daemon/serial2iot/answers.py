"""What the daemon answers over its socket (see `host.door`): how it is, and what it is asked to do.

status                             the report (see `report`)
reload                             {"changed": [...], "needs_restart": [...], "warnings": [...]}
publish  port, text                {"port", "run", "seq", "topic", "values", "connected"}
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping

import structlog

from serial2iot.cloud import topics
from serial2iot.errors import ConfigError, Serial2IotError
from serial2iot.host import logs
from serial2iot.host.door import Answer, Request
from serial2iot.host.notify import Notify
from serial2iot.report import Parts, report
from serial2iot.settings import Changes, changes, load
from serial2iot.settings.serial_table import port_name
from serial2iot.wire.by_hand import reading_by_hand

log = structlog.get_logger()


class Answers:
    """Answers on behalf of the daemon's parts."""

    def __init__(self, parts: Parts, notify: Notify) -> None:
        self._parts = parts
        self._notify = notify
        self._reloading = asyncio.Lock()
        self._ended = False

    def table(self) -> Mapping[str, Answer]:
        """Each by the word it is asked with."""
        return {"status": self.status, "reload": self.reload, "publish": self.publish}

    async def status(self, _: Request) -> Mapping[str, object]:
        """How everything is at this moment."""
        return report(self._parts)

    async def publish(self, request: Request) -> Mapping[str, object]:
        """Take in one reading by hand, as if the port had sent it: it goes the way of all readings.

        The port need not be configured; then it is a lane of that name. Raises ConfigError for a name that no
        port could have, and for a topic that AWS would not take.
        """
        port, text = request.get("port"), request.get("text")
        if not isinstance(port, str) or not isinstance(text, str):
            raise Serial2IotError("publish needs a port and a text")
        port_name(port)
        topic = topics.fill(self._parts.settings.telemetry.topic, port=port)
        topics.check(topic, telemetry=True)
        values, body = reading_by_hand(text)
        reading = self._parts.readers.intake(port).add(body, self._parts.clock.stamp())
        log.info("published_by_hand", port=port, seq=reading.seq)
        return {
            "port": port,
            "run": reading.run,
            "seq": reading.seq,
            "topic": topic,
            "values": values,
            "connected": self._parts.session.up,
        }

    async def reload(self, _: Request) -> Mapping[str, object]:
        """Read the configuration again and apply what can change. Raises ConfigError; then all is as before."""
        async with self._reloading:
            if self._ended:
                raise Serial2IotError(
                    "the daemon is stopping", hint="it reads its configuration when it starts"
                )
            self._notify.reloading()
            try:
                return await self._reload()
            except ConfigError as error:
                log.error(  # noqa: TRY400 - a mistake in a file needs no traceback
                    "reload_refused", reason=str(error), hint=error.hint or "the old configuration goes on"
                )
                raise
            finally:
                self._notify.ready()

    async def _reload(self) -> Mapping[str, object]:
        parts = self._parts
        settings = await asyncio.to_thread(load, parts.settings.path, os.environ)
        found = changes(parts.settings, settings)
        changed = await self._apply(found)
        parts.settings, parts.needs_restart = found.running, found.needs_restart
        for warning in settings.warnings:
            log.warning("configuration", reason=warning)
        log.info("reloaded", changed=changed or None, needs_restart=found.needs_restart or None)
        return {
            "changed": changed,
            "needs_restart": list(found.needs_restart),
            "warnings": list(settings.warnings),
        }

    async def _apply(self, found: Changes) -> list[str]:
        """Change what has changed; in words."""
        parts, running = self._parts, found.running
        changed = []
        if found.log:
            logs.configure(running.log)
            changed.append(f"log level {running.log.level}")
        if found.telemetry:
            parts.lanes.change(running.telemetry)
            parts.publisher.wake()
            changed.append("telemetry")
        if found.ports:
            changed += [f"port {change}" for change in await parts.readers.change(running.ports)]
        return changed

    async def reload_unasked(self) -> None:
        """SIGHUP: a reload with nobody to hear the answer; a refusal is in the log."""
        with contextlib.suppress(Serial2IotError):
            await self.reload({})

    async def end(self) -> None:
        """The daemon stops: change nothing any more. Waits for the reload that is under way."""
        self._ended = True
        async with self._reloading:
            pass
