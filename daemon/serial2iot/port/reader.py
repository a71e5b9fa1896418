"""From the port to the spool: one loop per port.

A port that is absent, silent or lost is a state, not a failure: the loop waits for it and goes on. Per chunk
it may cost what it likes; per reading it makes one tuple.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

import structlog

from serial2iot.counters import WireCounts
from serial2iot.errors import PortError
from serial2iot.port.serial_port import SerialPort
from serial2iot.reading import Reading, Stamp
from serial2iot.wire.framing import BadFrame
from serial2iot.wire.pipeline import Pipeline

log = structlog.get_logger()

LOOK_EVERY_S = 1.0  # for a device that is missing: one stat a second


class Reader:
    """Reads one port for as long as the daemon runs. `take` is the spool's `append` for this lane."""

    def __init__(
        self,
        name: str,
        port: SerialPort,
        line: Pipeline,
        take: Callable[[Iterable[Reading]], None],
        *,
        run: int,
        now: Callable[[], Stamp],
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.device: str | None = None  # where it is open, None while it is not
        self.last_at: Stamp | None = None  # of the last reading
        self._port = port
        self._line = line
        self._take = take
        self._run = run
        self._seq = 0
        self._now = now
        self._beat = beat
        self._bad_run = 0  # bad frames since the last good one

    @property
    def counts(self) -> WireCounts:
        """What came over the wire, and what became of it."""
        return self._line.counts

    async def read(self) -> None:
        """Read until cancelled."""
        try:
            while True:
                await self._open()
                try:
                    await self._read_until_lost()
                except PortError as lost:
                    log.warning("port_lost", port=self.name, device=self.device, reason=str(lost))
                self.device = None
                self._port.close()
        finally:
            self._port.close()

    async def _open(self) -> None:
        said: str | None = None
        began = time.monotonic()
        while True:
            self._beat()
            try:
                self.device = await self._port.open()
            except PortError as error:
                if str(error) != said:  # once for each reason, not once a second
                    said = str(error)
                    log.warning("port_absent", port=self.name, reason=said, hint=error.hint)
                await asyncio.sleep(LOOK_EVERY_S)
            else:
                self._line.reset(partial=not self._port.fresh, now=self._now().mono_ms / 1000)
                waited_s = round(time.monotonic() - began, 1)
                log.info("port_open", port=self.name, device=self.device, waited_s=waited_s)
                return

    async def _read_until_lost(self) -> None:
        while True:
            self._beat()
            due = self._line.due  # only framing by idle gap needs to be told of a silence
            chunk = await self._port.read(None if due is None else due - self._now().mono_ms / 1000)
            stamp = self._now()
            now = stamp.mono_ms / 1000
            bodies, bad = self._line.feed(chunk, now) if chunk else self._line.flush(now)
            if bad:
                self._note_bad(bad)
            if bodies:
                self._bad_run = 0
                self._deliver(bodies, stamp)

    def _deliver(self, bodies: list[bytes], stamp: Stamp) -> None:
        first, run = self._seq + 1, self._run
        self._seq += len(bodies)
        self.last_at = stamp
        self._take([Reading(run, seq, stamp, body) for seq, body in enumerate(bodies, first)])

    def _note_bad(self, bad: list[BadFrame]) -> None:
        """Say the first of a row of bad frames; the rest is in the counters."""
        for frame in bad:
            say = log.debug if self._bad_run else log.warning
            say("bad_frame", port=self.name, reason=frame.reason, size=frame.size, head=repr(frame.head))
            self._bad_run += 1
