"""The wall clock of the real daemon: 1970 at the start, set while it runs, stepped forth and back.

libfaketime moves the process's clock (Debian package libfaketime), monotonic time excepted; a `timedatectl` of
the test's own says whether somebody keeps the time.
"""

import re
import time
from itertools import pairwise
from pathlib import Path

import pytest

from serial2iot.emulator.arduino import SimulatedArduino
from tests.daemon_process import DaemonProcess
from tests.scene import TELEMETRY, Arrivals, Scene, books

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
SECONDS_TO_1970 = -int(time.time()) + 60
TOLERANCE_S = 1.0
SentAt = dict[int, tuple[float, float]]
"""Of each reading, by its number: when it was said, and when it was known to be read. Epoch seconds."""


class WallClock:
    """What the daemon takes for the time, and what `timedatectl` tells it."""

    def __init__(self, place: Path, *, offset_s: int, synchronised: bool) -> None:
        self._offset = place / "offset"
        self._answer = place / "synchronised"
        (place / "bin").mkdir()
        tool = place / "bin" / "timedatectl"
        tool.write_text(f"#!/bin/sh\ncat {self._answer}\n")
        tool.chmod(0o755)
        self.environment = {
            "PATH": f"{place / 'bin'}:/usr/bin:/bin",
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.set(offset_s, synchronised=synchronised)

    def set(self, offset_s: int, *, synchronised: bool) -> None:
        """Step the clock to so many seconds from the true time."""
        self._answer.write_text("yes\nyes\n" if synchronised else "no\nyes\n")
        new = self._offset.with_suffix(".new")
        new.write_text(f"{offset_s:+d}\n")
        new.replace(self._offset)


@pytest.fixture(autouse=True)
def need_libfaketime() -> None:
    if not LIBRARIES:
        pytest.skip("libfaketime is not installed")


def entries(arrivals: Arrivals) -> dict[int, tuple[int, bool]]:
    """Of each reading, by its number: its time, and whether that is called an estimate."""
    return {entry["values"]["n"]: (entry["time"], "time_quality" in entry) for entry in arrivals.entries()}


def assert_right(said: dict[int, tuple[int, bool]], sent_at: SentAt) -> None:
    """Each time is when the line was read, on the harness's own clock."""
    for number, (sent_s, read_s) in sent_at.items():
        at_ms, estimated = said[number]
        assert sent_s - TOLERANCE_S < at_ms / 1000 < read_s + TOLERANCE_S, number
        assert not estimated


async def say(board: SimulatedArduino, sent_at: SentAt, number: int, offset_s: int = 0) -> None:
    sent_s = time.time()
    await board.send_numbered(1, first=number)
    await board.drained()
    sent_at[number] = (sent_s + offset_s, time.time() + offset_s)


async def finish(daemon: DaemonProcess, count: int) -> None:
    assert await daemon.stop() == 0
    sums = books(daemon)
    assert (sums["received"], sums["acknowledged"], sums["waiting"], sums["dropped"]) == (count, count, 0, 0)


@pytest.mark.parametrize(
    "synchronised_at_first", [False, None], ids=["waits for NTP", "nobody keeps the time"]
)
async def test_started_in_1970_and_set_right(scene: Scene, synchronised_at_first: bool | None) -> None:
    wall = WallClock(scene.place, offset_s=SECONDS_TO_1970, synchronised=False)
    if synchronised_at_first is None:
        (scene.place / "synchronised").write_text("no\nno\n")
    sent_at: SentAt = {}
    async with (
        scene.cloud.watch(TELEMETRY) as watch,
        scene.board() as board,
        scene.daemon(scene.config(buffer="commit_after_s = 0.5"), **wall.environment) as daemon,
    ):
        await daemon.heard("READY=1")
        await daemon.said("port open")
        await daemon.said("clock not set")
        for number in range(1, 6):
            await say(board, sent_at, number)
        await daemon.said("committed")
        assert not watch.seen, "TLS waits for a sane clock"
        wall.set(0, synchronised=True)
        arrivals = Arrivals(watch)
        await daemon.said(" connected ")
        for number in range(6, 11):
            await say(board, sent_at, number)
        await arrivals.until(10)
        await finish(daemon, 10)
    assert_right(entries(arrivals), sent_at)
    assert [seq for _, _, seq, _ in arrivals.readings()] == list(range(1, 11)), "in order"


async def test_stepped_forth_and_back_while_it_runs(scene: Scene) -> None:
    """Intervals do not notice; each reading has the time of the clock when it came."""
    wall = WallClock(scene.place, offset_s=0, synchronised=True)
    sent_at: SentAt = {}
    async with (
        scene.cloud.watch(TELEMETRY) as watch,
        scene.board() as board,
        scene.daemon(scene.config(), **wall.environment) as daemon,
    ):
        await daemon.said("port open")
        await daemon.said(" connected ")
        arrivals = Arrivals(watch)
        for step, offset_s in enumerate((0, 7200, -7200), start=1):
            wall.set(offset_s, synchronised=True)
            await say(board, sent_at, step, offset_s)
            began = time.monotonic()
            await arrivals.until(step)
            assert time.monotonic() - began < 5, "a batch is due by the monotonic clock"
        line = await daemon.said("clock jumped")
        assert re.search(r"by_s=-?\d", line)
        await finish(daemon, 3)
    assert_right(entries(arrivals), sent_at)
    assert [seq for _, _, seq, _ in arrivals.readings()] == [1, 2, 3]
    times = [at for at, _ in entries(arrivals).values()]
    assert [later > earlier for earlier, later in pairwise(times)] == [True, False], "as the clock had it"
