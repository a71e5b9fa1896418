"""From the port to the spool: one loop per port.

A port that is absent, silent or lost is a state, not a failure: the loop waits for it and goes on. Per chunk
it may cost what it likes; per reading it makes one tuple.

    absent -> open -> lost -> absent        a device is looked for, and opened, once a second at most
              open -> silent -> open        where `silent_after_s` is set (see `silence`)

A restart need not cut a line in two: the next run's reader takes the descriptor and what was `unfinished` over
(`adopt`), and reads on where this one stopped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

import structlog

from serial2iot.counters import WireCounts
from serial2iot.errors import PortError
from serial2iot.port.serial_port import SerialPort
from serial2iot.port.silence import Remedy, Silence
from serial2iot.reading import Reading, Stamp
from serial2iot.wire.framing import BadFrame
from serial2iot.wire.pipeline import Carried, Pipeline

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
        silent_after_s: float = 0.0,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self.name = name
        self.device: str | None = None  # where it is open, None while it is not
        self.absent: PortError | None = None  # why it is not open, once that was tried
        self.last_at: Stamp | None = None  # of the last reading
        self._port = port
        self._line = line
        self._take = take
        self._run = run
        self._seq = 0
        self._now = now
        self._beat = beat
        self._look_every_s = look_every_s
        self._silence = Silence(silent_after_s, self._mono())
        self._bad_run = 0  # bad frames since the last good one

    @property
    def counts(self) -> WireCounts:
        """What came over the wire, and what became of it."""
        return self._line.counts

    @property
    def silent_s(self) -> float | None:
        """For how long nothing came, once that is longer than it should be; else None."""
        return self._silence.lasted_s(self._mono()) if self._silence.rung else None

    @property
    def fileno(self) -> int | None:
        """The open line's descriptor, for `adopt` in the next run; None while it is not open."""
        return self._port.fileno

    def unfinished(self) -> bytes | None:
        """The beginning of a frame whose end has not come yet, for `adopt` in the next run; b"": there is none.

        None: the next run cannot go on where this one is (the line is not open, or a frame is being thrown away).
        Still known after `read` was cancelled, which closes the line but not another descriptor of it.
        """
        return self._line.held() if self.device else None

    def adopt(self, fd: int, unfinished: bytes | None = None) -> None:
        """Read on where an earlier run stopped: call it before `read`.

        `fd` is ours from here on. Raises PortError when it is of no use; `read` then opens the device as ever.
        """
        self.device = self._port.adopt(fd)
        stamp = self._now()
        if unfinished is None:
            self._line.reset(partial=True, now=stamp.mono_ms / 1000)
        else:
            self._use(self._line.resume(unfinished, stamp.mono_ms / 1000), stamp)
        log.info("port_kept", port=self.name, device=self.device, unfinished=len(unfinished or b""))

    async def read(self) -> None:
        """Read until cancelled."""
        try:
            while True:
                opened_at = time.monotonic()
                if not self._port.is_open:
                    await self._open()
                    opened_at = time.monotonic()
                try:
                    await self._read_until_lost()
                except PortError as lost:
                    log.warning("port_lost", port=self.name, device=self.device, reason=str(lost))
                self._let_go()
                await asyncio.sleep(opened_at + self._look_every_s - time.monotonic())
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
                self.absent = error
                if str(error) != said:  # once for each reason, not once a second
                    said = str(error)
                    log.warning("port_absent", port=self.name, reason=said, hint=error.hint)
                await asyncio.sleep(self._look_every_s)
            else:
                self.absent = None
                now = self._mono()
                self._line.reset(partial=not self._port.fresh, now=now)
                self._silence.wait(now)
                waited_s = round(time.monotonic() - began, 1)
                say = log.debug if self._silence.rung else log.info
                say("port_open", port=self.name, device=self.device, waited_s=waited_s)
                return

    def _let_go(self) -> None:
        """What is unfinished now will never be finished: it is counted, and no later byte is added to it."""
        self._line.reset(partial=True, now=self._mono())
        self.device = None
        self._port.close()

    async def _read_until_lost(self) -> None:
        """Read until a PortError, or until reopening may help."""
        while True:
            self._beat()
            chunk = await self._port.read(self._patience_s())
            stamp = self._now()
            now = stamp.mono_ms / 1000
            if chunk:
                silent_s = self._silence.lasted_s(now)
                if self._silence.heard(now):
                    log.info("port_speaks_again", port=self.name, silent_s=round(silent_s, 1))
                self._use(self._line.feed(chunk, now), stamp)
            else:
                self._use(self._line.flush(now), stamp)
                if await self._end_silence(now):
                    return

    def _patience_s(self) -> float | None:
        """How long to wait for bytes: until an idle gap ends a frame, or until the silence is too long."""
        dues = [due for due in (self._line.due, self._silence.due) if due is not None]
        return min(dues) - self._mono() if dues else None

    async def _end_silence(self, now: float) -> bool:
        """Do what is due about a silence; whether to open the line anew."""
        remedy = self._silence.climb(now)
        if remedy is None:
            return False
        say = log.warning if self._silence.rung == 1 else log.debug
        say(
            "port_silent",
            port=self.name,
            silent_s=round(self._silence.lasted_s(now), 1),
            remedy=remedy.value,
            hint="is the board running? it is reopened and reset until it speaks",
        )
        if remedy is Remedy.PULSE_DTR:
            return not await self._port.pulse_dtr()  # a line without DTR: all there is to do is to reopen it
        return True

    def _use(self, carried: Carried, stamp: Stamp) -> None:
        if carried.bad:
            self._note_bad(carried.bad)
        if carried.bodies:
            self._bad_run = 0
            self._deliver(carried.bodies, stamp)

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

    def _mono(self) -> float:
        return self._now().mono_ms / 1000
