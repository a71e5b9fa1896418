"""The readers of all ports: begun, changed one by one while the others go on, and ended.

What outlives a reader that a reload replaces: the intake of its lane (its numbers go on) and its counts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from serial2iot.counters import WireCounts
from serial2iot.host.health import Health
from serial2iot.intake import Intake
from serial2iot.port.reader import Reader
from serial2iot.port.serial_port import SerialPort
from serial2iot.reading import Stamp
from serial2iot.settings import PortSettings
from serial2iot.wire.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class Line:
    """One port that is being read."""

    settings: PortSettings
    reader: Reader
    task: asyncio.Task[None]


class Readers:
    """One Reader a port. `append` is the spool's."""

    def __init__(self, append: Callable[..., None], now: Callable[[], Stamp], health: Health) -> None:
        self._append = append
        self._now = now
        self._health = health
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
        for each in ports:
            self._start(each)

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
                self._start(each)
            elif old.settings != each:
                changes.append(f"~{name}")
                await self._end([old])
                self._start(each)
        return changes

    async def end(self) -> None:
        """Read no more: the daemon stops."""
        await self._end(list(self._lines.values()))

    def intake(self, name: str) -> Intake:
        """Where readings of this lane enter the spool, configured or not."""
        if name not in self._intakes:
            self._intakes[name] = Intake(name, self._run, self._append)
        return self._intakes[name]

    def last_values(self, name: str) -> tuple[Stamp, bytes] | None:
        """The last reading of this lane in this run."""
        last = self.intake(name).last
        return (last.stamp, last.body) if last else None

    def _start(self, each: PortSettings) -> None:
        assert self._parts is not None
        name = each.port.name
        intake = self.intake(name)
        intake.begin()
        reader = Reader(
            name,
            SerialPort(each.port),
            Pipeline(each.wire, self._counts.setdefault(name, WireCounts())),
            intake.take,
            run=self._run,
            now=self._now,
            beat=self._health.beat_of(_part(name)),
            silent_after_s=each.port.silent_after_s,
        )
        task = self._parts.create_task(reader.read(), name=_part(name))
        self._lines[name] = Line(each, reader, task)

    async def _end(self, lines: Sequence[Line]) -> None:
        for line in lines:
            line.task.cancel()
        for line in lines:
            with contextlib.suppress(asyncio.CancelledError):
                await line.task


def _part(name: str) -> str:
    return f"port {name}"
