"""A backlog after an outage, and how fast it leaves under AWS's limits.

    python -m tests.crash.daemon_backlog --readings 3000 --layout single
    python -m tests.crash.daemon_backlog --readings 40000 --layout batch --max-bytes 45000

The daemon starts while the broker is away, reads everything, and finds the broker. What a subscriber then sees
is measured: the share of whichever limit binds first over the whole drain, and the most in any second. The
second is cut from the stamps of arrival, which the broker and this machine shift by some hundredths; the daemon
is judged by windows that are `JITTER_S` shorter than a second.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from serial2iot.cloud.quota import BYTES_PER_S, PUBLISHES_PER_S
from serial2iot.emulator.cloud import Emulator, EmulatorOptions
from serial2iot.emulator.link import Arrival
from tests.scene import TELEMETRY, Arrivals, Scene, books

JITTER_S = 0.1
PATIENCE_S = 300.0
LOW, HIGH = 0.85, 0.95  # shares of the limit between which a backlog is to leave


@dataclass(frozen=True)
class Options:
    """`max_bytes`: of a batch."""

    readings: int
    layout: Literal["single", "batch"] = "single"
    max_bytes: int = 5120


@dataclass(frozen=True)
class Figures:
    """Of one drain. Shares are of AWS's limit for publishes and for bytes."""

    readings: int
    missing: int
    messages: int
    took_s: float
    publishes_share: float
    bytes_share: float
    most_publishes: int  # in any second, by arrival
    most_bytes: int
    safe_publishes: int  # the same in windows that are shorter by the jitter
    safe_bytes: int
    books: dict[str, int]

    @property
    def share(self) -> float:
        """Of the limit that bound."""
        return max(self.publishes_share, self.bytes_share)

    @property
    def kept(self) -> bool:
        """Whether it left fast enough, never too fast, and whole."""
        within = self.safe_publishes <= PUBLISHES_PER_S and self.safe_bytes <= BYTES_PER_S
        return LOW <= self.share <= HIGH and within and not self.missing

    def __str__(self) -> str:
        return (
            f"{self.readings} readings in {self.messages} messages in {self.took_s:.1f} s, missing {self.missing}:"
            f" {self.publishes_share:.1%} of the publishes and {self.bytes_share:.1%} of the bytes that AWS allows;"
            f" at most {self.most_publishes} publishes and {self.most_bytes} bytes in any second"
            f" ({self.safe_publishes} and {self.safe_bytes} in any {1 - JITTER_S:g} s)"
        )


def most_within(stamps: Sequence[float], costs: Sequence[int], window_s: float) -> int:
    """The greatest sum of costs in any window of that length."""
    most = running = first = 0
    for last, stamp in enumerate(stamps):
        running += costs[last]
        while stamps[first] <= stamp - window_s:
            running -= costs[first]
            first += 1
        most = max(most, running)
    return most


def measure(seen: Sequence[Arrival], readings: int, missing: int, sums: dict[str, int]) -> Figures:
    """The figures of one drain. The first message is not counted in the shares: the clock starts with it."""
    stamps = [arrival.at for arrival in seen]
    sizes = [len(arrival.topic) + len(arrival.payload) for arrival in seen]
    ones = [1] * len(seen)
    took_s = stamps[-1] - stamps[0]
    return Figures(
        readings=readings,
        missing=missing,
        messages=len(seen),
        took_s=took_s,
        publishes_share=(len(seen) - 1) / took_s / PUBLISHES_PER_S,
        bytes_share=sum(sizes[1:]) / took_s / BYTES_PER_S,
        most_publishes=most_within(stamps, ones, 1.0),
        most_bytes=most_within(stamps, sizes, 1.0),
        safe_publishes=most_within(stamps, ones, 1.0 - JITTER_S),
        safe_bytes=most_within(stamps, sizes, 1.0 - JITTER_S),
        books=sums,
    )


def line(number: int, layout: str) -> bytes:
    """A reading; in batches one of 400 bytes, so that bytes are what binds."""
    return b'{"n":%d,"text":"%b"}\n' % (number, b"x" * (400 if layout == "batch" else 1))


async def run(options: Options, directory: Path) -> Figures:
    """One outage and its end."""
    async with Emulator(EmulatorOptions(directory / "cloud", front=False)) as cloud:
        scene = Scene(directory, cloud)
        batch = f"max_readings = 10000\nmax_bytes = {options.max_bytes}" if options.layout == "batch" else ""
        config = scene.config(limits="aws", layout=options.layout, telemetry=batch)
        await cloud.broker.kill()
        async with scene.board() as board, scene.daemon(config) as daemon:
            await daemon.said("port open")
            numbers = range(1, options.readings + 1)
            for first in range(0, options.readings, 500):
                await board.send(b"".join(line(n, options.layout) for n in numbers[first : first + 500]))
            await board.drained()
            await cloud.broker.start()
            async with cloud.watch(TELEMETRY) as watch:
                arrivals = Arrivals(watch)
                async with asyncio.timeout(PATIENCE_S):
                    # Counting without reading: what is decoded here would delay the stamps.
                    while sum(arrival.payload.count(b'"n":') for arrival in watch.seen) < options.readings:
                        await asyncio.sleep(0.5)
                seen = list(watch.seen)
                await daemon.stop()
            came = {values["n"] for _, _, _, values in arrivals.readings()}
            return measure(seen, options.readings, len(set(numbers) - came), books(daemon))


def main() -> int:
    """Print one line of figures; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.daemon_backlog")
    parser.add_argument("--readings", type=int, default=3000)
    parser.add_argument("--layout", choices=("single", "batch"), default="single")
    parser.add_argument("--max-bytes", type=int, default=5120)
    given = parser.parse_args()
    options = Options(given.readings, given.layout, given.max_bytes)
    with tempfile.TemporaryDirectory(prefix="serial2iot-backlog-") as directory:
        figures = asyncio.run(run(options, Path(directory)))
    print(figures)
    return 0 if figures.kept else 1


if __name__ == "__main__":
    sys.exit(main())
