"""The disk under the running daemon: full, read-only, and left alone while the cloud keeps up."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from serial2iot.emulator.cloud import Emulator, EmulatorOptions
from tests.daemon_process import DaemonProcess
from tests.scene import TELEMETRY, Arrivals, Scene, books

SMALL = "size=1m"


class SmallDisk:
    """A file system of 1 MiB, mounted where the spool is to be."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def remount(self, how: str) -> None:
        """`ro` or `rw`."""
        subprocess.run(["mount", "-o", f"remount,{how},{SMALL}", self.path], check=True)

    def fill(self) -> None:
        """Leave no room at all."""
        with (self.path / "ballast").open("wb") as ballast:
            try:
                while True:
                    os.write(ballast.fileno(), bytes(4096))
            except OSError:
                pass

    def clear(self) -> None:
        """Make room again."""
        (self.path / "ballast").unlink()


@pytest_asyncio.fixture
async def cloud(cloud_directory: Path) -> AsyncIterator[Emulator]:
    """Mosquitto itself, whose connections die with it."""
    async with Emulator(EmulatorOptions(cloud_directory, front=False)) as emulator:
        yield emulator


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    if os.geteuid() != 0:
        pytest.skip("mounting takes root")
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", SMALL, "tmpfs", path], check=True)
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


async def delivered(scene: Scene, daemon: DaemonProcess, count: int) -> dict[str, int]:
    """Bring the broker back; the books when all readings have arrived and the daemon was stopped."""
    await scene.cloud.broker.start()  # a daemon that waits for it is back a second later at the earliest
    async with scene.cloud.watch(TELEMETRY) as watch:
        if not daemon.running:
            await daemon.start()
        arrivals = Arrivals(watch)
        await arrivals.until(count)
        assert await daemon.stop() == 0
    assert {values["n"] for _, _, _, values in arrivals.readings()} == set(range(1, count + 1))
    return books(daemon)


async def test_a_disk_that_fills_up_and_has_room_again(scene: Scene, small_disk: SmallDisk) -> None:
    config = scene.config(spool=small_disk.path, buffer="commit_after_s = 0.2")
    async with scene.board() as board, scene.daemon(config) as daemon:
        await daemon.said("port open")
        await daemon.said(" connected ")
        await scene.cloud.broker.kill()
        await board.send_numbered(100)
        await daemon.said("committed")
        small_disk.fill()
        await board.send_numbered(3000, first=101)
        line = await daemon.said("spool storage failed")
        assert "state=disk_full" in line
        assert "make room" in line
        await board.send_numbered(100, first=3101)  # readings go on
        await board.drained()
        small_disk.clear()
        line = await daemon.said("spool storage recovered")
        assert "was=disk_full" in line
        daemon.signal(signal.SIGKILL)  # and what waited in memory has reached the disk
        await daemon.exit()
        sums = await delivered(scene, daemon, 3200)
    assert (sums["carried_over"], sums["acknowledged"], sums["dropped"]) == (3200, 3200, 0)


async def test_full_to_the_end_of_the_outage_everything_leaves_from_memory(
    scene: Scene, small_disk: SmallDisk
) -> None:
    config = scene.config(spool=small_disk.path, buffer="commit_after_s = 0.2")
    async with scene.board() as board, scene.daemon(config) as daemon:
        await daemon.said("port open")
        await daemon.said(" connected ")
        await scene.cloud.broker.kill()
        small_disk.fill()
        await board.send_numbered(5000)
        await daemon.said("spool storage failed")
        await board.drained()
        sums = await delivered(scene, daemon, 5000)
    assert (sums["received"], sums["acknowledged"], sums["dropped"]) == (5000, 5000, 0)


async def test_a_disk_that_is_read_only_until_somebody_mends_it(scene: Scene, small_disk: SmallDisk) -> None:
    config = scene.config(spool=small_disk.path, buffer="commit_after_s = 0.2")
    await scene.cloud.broker.kill()
    small_disk.remount("ro")
    async with scene.board() as board, scene.daemon(config) as daemon:
        await daemon.said("port open")
        line = await daemon.said("spool storage failed")
        assert "read-only" in line
        await board.send_numbered(1000)
        await board.drained()
        small_disk.remount("rw")
        await daemon.said("spool storage recovered")
        daemon.signal(signal.SIGKILL)
        await daemon.exit()
        sums = await delivered(scene, daemon, 1000)
    assert (sums["carried_over"], sums["acknowledged"], sums["dropped"]) == (1000, 1000, 0)


# What is written. ------------------------------------------------------------------------------------------


def bytes_written(daemon: DaemonProcess) -> int:
    """What the process gave to any disk so far (proc(5): write_bytes)."""
    told = Path(f"/proc/{daemon.pid}/io").read_text()
    return int(dict(line.split(": ") for line in told.splitlines())["write_bytes"])


def state_of(spool: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file of the spool."""
    return {each.name: (each.stat().st_size, each.stat().st_mtime_ns) for each in spool.iterdir()}


async def test_a_healthy_run_writes_nothing_after_its_start(scene: Scene) -> None:
    async with (
        scene.cloud.watch(TELEMETRY) as watch,
        scene.board() as board,
        scene.daemon(scene.config()) as daemon,
    ):
        await daemon.said("port open")
        await daemon.said(" connected ")
        arrivals = Arrivals(watch)
        before, files = bytes_written(daemon), state_of(scene.place / "spool")
        for part in range(5):  # longer than commit_after_s, at a pace that the broker keeps up with
            await board.send_numbered(500, first=1 + part * 500)
            await arrivals.until((part + 1) * 500)
            await asyncio.sleep(0.4)
        written = bytes_written(daemon) - before
        assert files == state_of(scene.place / "spool")
        assert not any("committed" in line for line in daemon.log)
        print(f"2500 readings, {written} bytes written")
        assert written == 0
        assert await daemon.stop() == 0


async def test_offline_one_fsync_for_each_commit_after_s(scene: Scene, tmp_path: Path) -> None:
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    await scene.cloud.broker.kill()
    seconds, commit_after_s = 6.0, 1.0
    counted = tmp_path / "fsyncs"
    async with (
        scene.board(period_s=0.01) as board,
        scene.daemon(scene.config(buffer=f"commit_after_s = {commit_after_s}")) as daemon,
    ):
        await daemon.said("committed", times=2)
        command = ("strace", "-f", "-tt", "-e", "trace=fsync,fdatasync", "-o", counted, "-p", str(daemon.pid))
        began = time.monotonic()
        tracing = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
        try:
            await asyncio.sleep(seconds)
        finally:
            tracing.terminate()
            await tracing.wait()
        traced_s = time.monotonic() - began
        fsyncs = len(re.findall(r"(?:fsync|fdatasync)\(", counted.read_text()))
        lines = board.counts.lines
        assert await daemon.stop() == 0
    print(f"{fsyncs} fsyncs in {seconds:g} s at commit_after_s={commit_after_s:g}, {lines} readings")
    assert 0 < fsyncs <= traced_s / (commit_after_s * 15 / 16) + 2, (
        "one for each, and one begun before and after"
    )
