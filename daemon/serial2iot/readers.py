"""The readers of all ports: begun, changed one by one while the others go on, and ended.

What outlives a reader that a reload replaces: the intake of its lane (its numbers go on), its counts, and the open
line, so that no board is reset because its baud rate or the meaning of its bytes was changed. The line outlives the
daemon too (see `host.stored_port`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from serial2iot.counters import WireCounts
from serial2iot.errors import PortError
from serial2iot.host.health import Health
from serial2iot.host.stored_port import Kept, Store, StoredPort
from serial2iot.intake import Intake
from serial2iot.port.reader import Reader
from serial2iot.reading import Stamp
from serial2iot.settings import PortSettings
from serial2iot.wire.pipeline import Pipeline

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Line:
    """One port that is being read."""

    settings: PortSettings
    port: StoredPort
    reader: Reader
    task: asyncio.Task[None]


class Readers:
    """One Reader a port. `append` is the spool's."""

    def __init__(
        self, append: Callable[..., None], now: Callable[[], Stamp], health: Health, store: Store
    ) -> None:
        self._append = append
        self._now = now
        self._health = health
        self._store = store
        self._lines: dict[str, Line] = {}
        self._intakes: dict[str, Intake] = {}
        self._counts: dict[str, WireCounts] = {}
        self._run = 0
        self._parts: asyncio.TaskGroup | None = None

    @property
    def lines(self) -> Mapping[str, Line]:
        """By the port's name."""
        return self._lines

    def begin(self, parts: asyncio.TaskGroup, run: int, ports: Sequence[PortSettings]) -> None:
        """Read these ports, as tasks of `parts`."""
        self._parts, self._run = parts, run
        self._store.close_others(each.port.name for each in ports)
        for each in ports:
            self._start(each, self._store.take(each.port.name))

    async def change(self, ports: Sequence[PortSettings]) -> list[str]:
        """Read these ports from now on; what that changed, as `+new`, `-gone` and `~changed`."""
        wanted = {each.port.name: each for each in ports}
        changes = []
        for name in [name for name in self._lines if name not in wanted]:
            await self._end([self._lines.pop(name)])
            self._health.leave(_part(name))
            changes.append(f"-{name}")
        for name, each in wanted.items():
            old = self._lines.get(name)
            if old is None:
                changes.append(f"+{name}")
                self._start(each, None)
            elif old.settings != each:
                changes.append(f"~{name}")
                self._start(each, await self._hand_over(old))
        return changes

    async def end(self) -> None:
        """Read no more: the daemon stops, and what is open stays in the store."""
        lines = list(self._lines.values())
        kept = [line for line in lines if line.port.fileno is not None]
        for line in kept:
            line.port.keep = True
        await self._end(lines)
        for line in kept:
            if (unfinished := line.reader.unfinished()) is not None:
                self._store.put_unfinished(line.reader.name, unfinished)

    def intake(self, name: str) -> Intake:
        """Where readings of this lane enter the spool, configured or not."""
        if name not in self._intakes:
            self._intakes[name] = Intake(name, self._run, self._append)
        return self._intakes[name]

    def last_values(self, name: str) -> tuple[Stamp, bytes] | None:
        """The last reading of this lane in this run."""
        last = self.intake(name).last
        return (last.stamp, last.body) if last else None

    async def _hand_over(self, old: Line) -> Kept | None:
        """End a reader; its line, still open, for the next one."""
        open_fd = old.port.fileno
        fd = None if open_fd is None else os.dup(open_fd)
        old.port.keep = fd is not None
        await self._end([old])
        return None if fd is None else Kept(fd, old.reader.unfinished())

    def _start(self, each: PortSettings, kept: Kept | None) -> None:
        assert self._parts is not None
        name = each.port.name
        intake = self.intake(name)
        intake.begin()
        port = StoredPort(each.port, self._store)
        reader = Reader(
            name,
            port,
            Pipeline(each.wire, self._counts.setdefault(name, WireCounts())),
            intake.take,
            run=self._run,
            now=self._now,
            beat=self._health.beat_of(_part(name)),
            silent_after_s=each.port.silent_after_s,
        )
        if kept is not None:
            try:
                reader.adopt(*kept)
            except PortError as error:
                log.info("port_not_kept", port=name, reason=str(error), hint="it is opened anew")
        task = self._parts.create_task(reader.read(), name=_part(name))
        self._lines[name] = Line(each, port, reader, task)

    async def _end(self, lines: Sequence[Line]) -> None:
        for line in lines:
            line.task.cancel()
        for line in lines:
            with contextlib.suppress(asyncio.CancelledError):
                await line.task


def _part(name: str) -> str:
    return f"port {name}"
