"""SIGKILLs of the real daemon at random moments, under a real broker that comes and goes.

    python -m tests.crash.daemon_kills --kills 1000
    python -m tests.crash.daemon_kills --kills 1000 --commit-after 0

A board writes numbered readings and outlives every daemon. "Arrived" means read by the daemon: a reading counts
from the moment at which poll() finds the line empty behind it. (FIONREAD is no proof: it does not count what
the kernel still carries to the reader, and said 0 too early in 18 % of 20,000 tries.) Kills come at any moment,
also during the start. Between two lives nothing happens to the spool.

What is checked when all is over and the last daemon has delivered everything and stopped:

- Readings that were older than `commit_after_s` plus the slowest commit when the daemon was killed: none lost.
- With `--commit-after 0`: what was published and not answered (the relay holds the PUBACKs) was on the disk
  before it was published, so the next life publishes it again. None is missing there.
- Whatever came twice has the same (port, run, seq) and the same number in its values.
- The books of the last run balance, and nothing waits.

A SIGKILL says nothing about durability, for the page cache survives it: power cuts are another program's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import re
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from serial2iot.emulator.arduino import SimulatedArduino
from serial2iot.emulator.cloud import Emulator, EmulatorOptions
from tests.crash.daemon_ledger import Arrived, Losses, Part, losses, settled
from tests.crash.daemon_relay import Relay
from tests.daemon_process import DaemonProcess
from tests.scene import TELEMETRY, Scene, books

LATE_S = 0.1
"""What a busy machine adds to an age: the harness's clock and the daemon's timers are not read at one moment."""
LIFE_S = (0.3, 1.6)
LAST_LIVES = 20  # enough to deliver what is left
QUIET_S = 1.5
WEATHER_S = 1.5  # on the average the broker is as it is for so long
WEATHER = {"up": 6, "frozen": 2, "down": 2}  # what it becomes then, with weights

_COMMITTED = re.compile(r"committed \(took_s=([\d.]+)\)")


@dataclass(frozen=True)
class Options:
    """How many kills, under which promise. `seed` decides every moment but those of the machine."""

    kills: int
    commit_after_s: float = 0.3
    seed: int = 1
    weather: Mapping[str, int] = field(default_factory=lambda: dict(WEATHER))


@dataclass
class Figures:
    """What came of it."""

    options: Options
    kills: int = 0
    before_open: int = 0  # of these, before the port was open
    broker: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WEATHER, 0))  # kills by its state
    slowest_commit_s: float = 0.0
    commits: int = 0
    parts: list[Part] = field(default_factory=list)
    unanswered: int = 0  # published, not answered when the daemon was killed
    not_resent: int = 0  # of these, not published again
    arrived: Arrived = field(default_factory=Arrived)
    books: dict[str, int] = field(default_factory=dict)
    took_s: float = 0.0

    @property
    def bound_s(self) -> float:
        """The age from which a reading must not be lost."""
        return self.options.commit_after_s + self.slowest_commit_s + LATE_S

    @property
    def losses(self) -> Losses:
        """What never arrived."""
        return losses(self.parts, self.arrived, self.bound_s)

    @property
    def kept(self) -> bool:
        """Whether every promise was."""
        books = self.books
        balanced = books["carried_over"] + books["received"] == books["acknowledged"] + books["waiting"]
        whole = balanced and books["dropped"] == books["waiting"] == 0
        return whole and not (self.losses.lost or self.not_resent or self.arrived.confusions())

    def __str__(self) -> str:
        found, arrived = self.losses, self.arrived
        return (
            f"{self.kills} kills ({self.before_open} before the port was open;"
            f" broker {', '.join(f'{state} {count}' for state, count in self.broker.items())})"
            f" in {self.took_s:.0f} s, commit_after_s={self.options.commit_after_s:g}:"
            f" {found.owed} readings owed, lost {found.lost};"
            f" {found.young} younger than {self.bound_s:.2f} s lost, the oldest {found.oldest_s:.2f} s;"
            f" {self.unanswered} published and unanswered, lost {self.not_resent};"
            f" {arrived.doubles} doubles of {len(arrived.times)}, not recognisable {arrived.confusions()};"
            f" {self.commits} commits, the slowest {self.slowest_commit_s:.3f} s"
        )


class Life(NamedTuple):
    """One daemon: when its kill is due, and when the broker's answers are held back (or never)."""

    kill_after_s: float
    hold_after_s: float | None


class Kills:
    """The harness: owns the broker's weather, the board's numbers and one daemon after another."""

    def __init__(self, options: Options, scene: Scene, relay: Relay, board: SimulatedArduino) -> None:
        self.figures = Figures(options)
        self._options = options
        self._scene = scene
        self._broker = scene.cloud.broker
        self._relay = relay
        self._board = board
        self._random = random.Random(options.seed)
        self._weather = "up"
        self._said = 0  # the last number that was given to the line
        self._owed_again: dict[int, int] = {}  # published, not answered; and how often it had come by then
        self._config = scene.config(
            port=relay.port,
            telemetry="max_age_s = 0.05",
            buffer=f"commit_after_s = {options.commit_after_s}",
        )

    async def run(self) -> Figures:
        """All of it."""
        began = time.monotonic()
        async with self._scene.cloud.watch(TELEMETRY) as watch:
            published: set[int] = set()
            following = asyncio.create_task(self.figures.arrived.follow(watch, published))
            await self._make(self._other_weather())
            changing = asyncio.create_task(self._change_weather())
            try:
                for _ in range(self._options.kills):
                    await self._live_and_die(self._a_life(), published)
            finally:
                changing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await changing
            await self._make("up")
            await self._deliver_the_rest()
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        times = self.figures.arrived.times
        self.figures.unanswered = len(self._owed_again)
        self.figures.not_resent = sum(times[number] <= then for number, then in self._owed_again.items())
        self.figures.took_s = time.monotonic() - began
        return self.figures

    # Lives. ------------------------------------------------------------------------------------------------

    def _a_life(self) -> Life:
        kill = self._random.uniform(*LIFE_S) if self._random.random() < 0.9 else self._random.uniform(0, 0.5)
        hold = self._random.uniform(0.3, 1.0) * kill if self._options.commit_after_s == 0 else None
        return Life(kill, hold)

    async def _live_and_die(self, life: Life, published: set[int]) -> None:
        read: list[tuple[int, int, float]] = []
        async with DaemonProcess(self._config) as daemon:
            writing = asyncio.create_task(self._write(daemon, read))
            holding = asyncio.create_task(self._hold(life.hold_after_s, published))
            await asyncio.sleep(life.kill_after_s)
            killed_at = time.monotonic()
            daemon.signal(signal.SIGKILL)
            for task in (writing, holding):
                task.cancel()
            results = await asyncio.gather(writing, holding, return_exceptions=True)
            await daemon.exit()
            self._note_death(daemon, read, killed_at)
        for result in results:
            if isinstance(result, Exception):
                raise result
        await settled()
        if results[1] is True:
            times = self.figures.arrived.times
            self._owed_again.update({number: times[number] for number in published})
        self._relay.cut()
        self._relay.pass_answers()

    async def _write(self, daemon: DaemonProcess, read: list[tuple[int, int, float]]) -> None:
        """Say readings from the moment the port is open, and note when each was known to be read."""
        with contextlib.suppress(AssertionError):  # it was killed before
            await daemon.said("port open")
        if not daemon.running:
            return
        # What the daemon before this one left goes first. Who reads it is not known, and a line that was cut by
        # opening the port takes the one behind it along.
        await self._board.send(b"\n")
        await self._board.drained()
        while True:
            first, self._said = self._said + 1, self._said + self._random.randint(1, 20)
            await self._board.send_numbered(self._said - first + 1, first=first)
            await self._board.drained()
            read.append((first, self._said, time.monotonic()))
            await asyncio.sleep(self._random.expovariate(1 / 0.03))

    async def _hold(self, after_s: float | None, published: set[int]) -> bool:
        """Let no answer through any more; from then on `published` holds what is published in vain."""
        if after_s is None:
            return False
        await asyncio.sleep(after_s)
        self._relay.hold_answers()
        await settled()
        published.clear()
        return True

    def _note_death(
        self, daemon: DaemonProcess, read: list[tuple[int, int, float]], killed_at: float
    ) -> None:
        figures = self.figures
        figures.kills += 1
        figures.broker[self._weather] += 1
        figures.before_open += not any("port open" in line for line in daemon.log)
        figures.parts += [Part(first, last, killed_at - at) for first, last, at in read]
        self._note_commits(daemon)

    def _note_log(self, daemon: DaemonProcess) -> None:
        with (self._scene.place / "daemons.log").open("a") as log:
            log.writelines(f"{self.figures.kills} {line}\n" for line in daemon.log)

    def _note_commits(self, daemon: DaemonProcess) -> None:
        self._note_log(daemon)
        took = [float(found[1]) for line in daemon.log if (found := _COMMITTED.search(line))]
        self.figures.commits += len(took)
        self.figures.slowest_commit_s = max([self.figures.slowest_commit_s, *took])

    async def _deliver_the_rest(self) -> None:
        """Let daemons that nobody kills deliver everything that waits."""
        for _ in range(LAST_LIVES):
            async with DaemonProcess(self._config) as daemon:
                await daemon.said(" connected ")
                await self._until_quiet()
                status = await daemon.stop()
                self._note_commits(daemon)
                self.figures.books = books(daemon)
            if status == 0 and not self.figures.books["waiting"]:
                break
        await settled()

    async def _until_quiet(self) -> None:
        """Wait until nothing new has come for a while."""
        came = -1
        while came != (now := sum(self.figures.arrived.times.values())):
            came = now
            await asyncio.sleep(QUIET_S)

    # The broker. -------------------------------------------------------------------------------------------

    async def _change_weather(self) -> None:
        while True:
            await asyncio.sleep(self._random.expovariate(1 / WEATHER_S))
            # What was begun is finished: half a start would leave the relay shut.
            await asyncio.shield(asyncio.ensure_future(self._make(self._other_weather())))

    def _other_weather(self) -> str:
        weights = self._options.weather
        return self._random.choices([*weights], [*weights.values()])[0]

    async def _make(self, state: str) -> None:
        """Bring the broker there. Whatever it acknowledges, the subscriber sees: also at its death and birth."""
        if state == "down" and self._broker.pid:
            await self._broker.freeze()
            await settled()  # what it has said is read before its sockets are reset
            await self._broker.kill()
        elif state == "frozen":
            await self._broker.freeze()
        elif state == "up":
            await self._broker.thaw()
            self._relay.shut()  # the subscriber comes first
            await self._broker.start()
            self._relay.open()
        self._weather = state if self._broker.pid else "down"


async def run(options: Options, directory: Path) -> Figures:
    """Kill so many daemons; what came of it."""
    async with Emulator(EmulatorOptions(directory / "cloud", front=False)) as cloud:
        scene = Scene(directory, cloud)
        async with Relay(cloud.port) as relay, scene.board() as board:
            return await Kills(options, scene, relay, board).run()


def main() -> int:
    """Print one line of figures; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.crash.daemon_kills", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--commit-after", type=float, default=0.3, metavar="S")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--directory", type=Path, help="where what is left stays, the daemons' log with it")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        directory = given.directory
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="serial2iot-kills-")))
        directory.mkdir(exist_ok=True)
        figures = asyncio.run(run(Options(given.kills, given.commit_after, given.seed), directory))
    print(figures)
    return 0 if figures.kept else 1


if __name__ == "__main__":
    sys.exit(main())
