"""The broker goes away in every way it can: nothing that was read is missing, and the books say so."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from serial2iot.emulator.cloud import Emulator, EmulatorOptions
from tests.crash.daemon_relay import Relay
from tests.daemon_process import DaemonProcess
from tests.scene import TELEMETRY, Arrivals, Scene, books

UNIT_STOPS_WITHIN_S = 30.0  # TimeoutStopSec of systemd/serial2iot.service
ACK_TIMEOUT = r"slowing down \(.*why=timed_out"


@pytest_asyncio.fixture
async def cloud(cloud_directory: Path) -> AsyncIterator[Emulator]:
    """Mosquitto itself, whose connections hang and die with it."""
    async with Emulator(EmulatorOptions(cloud_directory, front=False)) as emulator:
        yield emulator


def assert_nothing_missing(arrivals: Arrivals, count: int) -> None:
    assert {values["n"] for _, _, _, values in arrivals.readings()} == set(range(1, count + 1))
    names = {(port, run, seq): values["n"] for port, run, seq, values in arrivals.readings()}
    assert len(names) == count, "a double has the name of its first"


def assert_balanced(sums: dict[str, int]) -> None:
    assert sums["carried_over"] + sums["received"] == sums["acknowledged"] + sums["waiting"] + sums["dropped"]


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_a_broker_that_hangs_for_longer_than_the_ack_timeout(scene: Scene) -> None:
    async with (
        scene.cloud.watch(TELEMETRY) as watch,
        scene.board() as board,
        scene.daemon(scene.config()) as daemon,
    ):
        await daemon.said("port open")
        await daemon.said(" connected ")
        arrivals = Arrivals(watch)
        await board.send_numbered(500)
        await arrivals.until(500)
        await scene.cloud.broker.freeze()
        await board.send_numbered(500, first=501)
        await daemon.said(ACK_TIMEOUT)
        await board.send_numbered(500, first=1001)
        await board.drained()
        await scene.cloud.broker.thaw()
        await arrivals.until(1500, within_s=60)
        assert await daemon.stop() == 0
        assert_nothing_missing(arrivals, 1500)
        sums = books(daemon)
        assert (sums["received"], sums["acknowledged"], sums["dropped"]) == (1500, 1500, 0)
        print(f"1500 readings, {arrivals.doubles()} doubles after time-outs")


@pytest.mark.parametrize("cuts", [1, pytest.param(3, marks=[pytest.mark.long, pytest.mark.timeout(120)])])
async def test_cut_in_the_middle_of_a_puback(scene: Scene, cuts: int) -> None:
    async with (
        Relay(scene.cloud.port) as relay,
        scene.cloud.watch(TELEMETRY) as watch,
        scene.board() as board,
        scene.daemon(scene.config(port=relay.port, telemetry="max_age_s = 0.05")) as daemon,
    ):
        await daemon.said("port open")
        arrivals = Arrivals(watch)
        for cut in range(1, cuts + 1):
            await daemon.said(" connected ", times=cut)
            await arrivals.until((cut - 1) * 100)
            relay.cut_inside_answer(after_bytes=5 + cut)
            await board.send_numbered(100, first=1 + (cut - 1) * 100)
            await daemon.said("connection lost", times=cut)
        await arrivals.until(cuts * 100, within_s=60)
        assert await daemon.stop() == 0
        assert relay.cuts == cuts
        assert_nothing_missing(arrivals, cuts * 100)
        assert_balanced(sums := books(daemon))
        assert (sums["acknowledged"], sums["dropped"]) == (cuts * 100, 0), "a cut sets nothing aside"
        print(f"{cuts} PUBACKs cut in two: {cuts * 100} readings, 0 missing, {arrivals.doubles()} doubles")


# One topic is refused. -------------------------------------------------------------------------------------

GOOD_TOPIC_ONLY = """\
user RPI
topic readwrite $aws/things/RPI/shadow/#
topic write my/things/RPI/update
topic write my/things/RPI/soil
"""
BOTH_TOPICS = GOOD_TOPIC_ONLY + "topic write my/things/RPI/door\n"
READINGS = 200


class Refused:
    """Two ports, of which one has a topic that the policy does not allow."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.links = {name: scene.place / f"tty-{name}" for name in ("soil", "door")}
        serial = "".join(
            f'[[serial]]\nname = "{name}"\ndevice = "{link}"\n' for name, link in self.links.items()
        )
        topic = 'topic = "my/things/{thing}/{port}"'
        self.config = scene.config(serial=serial, telemetry=topic)

    async def run(self, daemon: DaemonProcess, *, probe_within_s: float) -> dict[str, int]:
        """Refuse, see the other go on, allow, see everything arrive; the books when it stopped."""
        cloud, scene = self.scene.cloud, self.scene
        async with (
            cloud.watch("my/things/RPI/soil") as good,
            cloud.watch("my/things/RPI/door") as bad,
            scene.board(link=self.links["soil"]) as soil,
            scene.board(link=self.links["door"]) as door,
            daemon,
        ):
            await daemon.said("soil: port open")
            await daemon.said("door: port open")
            await daemon.said(" connected ")
            await door.send_numbered(READINGS)
            line = await daemon.said("topic refused")
            assert "iot:Publish on topic/my/things/RPI/door" in line
            for part in range(2):
                await soil.send_numbered(READINGS, first=1 + part * READINGS)
                await Arrivals(good).until((part + 1) * READINGS)
            assert not bad.seen
            await cloud.broker.set_acl(BOTH_TOPICS)
            await Arrivals(bad).until(READINGS, within_s=probe_within_s)
            await daemon.said("topic accepted")
            assert await daemon.stop() == 0
            assert_nothing_missing(Arrivals(good), 2 * READINGS)
            assert_nothing_missing(Arrivals(bad), READINGS)
            return books(daemon)


@asynccontextmanager
async def half_refused(place: Path, directory: Path) -> AsyncIterator[Refused]:
    async with Emulator(EmulatorOptions(directory, front=False, acl=GOOD_TOPIC_ONLY)) as cloud:
        yield Refused(Scene(place, cloud))


def impatient(place: Path, probe_every_s: float) -> str:
    """A PYTHONPATH with which the daemon probes a refused topic more often than every minute."""
    start = f"import serial2iot.cloud.suspicion as it\nit.PROBE_EVERY_S = it.CALM_S = {probe_every_s}\n"
    (place / "sitecustomize.py").write_text(start)
    return f"{place}:{Path(__file__).resolve().parents[2] / 'daemon'}"


async def test_one_topic_is_refused_and_the_other_goes_on(tmp_path: Path, cloud_directory: Path) -> None:
    async with half_refused(tmp_path, cloud_directory) as refused:
        daemon = refused.scene.daemon(refused.config, PYTHONPATH=impatient(tmp_path, 6.0))
        sums = await refused.run(daemon, probe_within_s=30)
        assert (sums["acknowledged"], sums["waiting"], sums["dropped"]) == (3 * READINGS, 0, 0)


@pytest.mark.long
@pytest.mark.timeout(150)
async def test_a_refused_topic_is_probed_every_minute(tmp_path: Path, cloud_directory: Path) -> None:
    async with half_refused(tmp_path, cloud_directory) as refused:
        sums = await refused.run(refused.scene.daemon(refused.config), probe_within_s=75)
        assert (sums["acknowledged"], sums["waiting"], sums["dropped"]) == (3 * READINGS, 0, 0)


# Stopped while the broker is away. -------------------------------------------------------------------------


@pytest.mark.parametrize("away", ["kill", pytest.param("freeze", marks=pytest.mark.long)])
async def test_stopped_while_the_broker_is_away(scene: Scene, away: str) -> None:
    """Everything is on the disk when it has ended, in good time, and the next run delivers it."""
    async with scene.board() as board:
        async with scene.daemon(scene.config()) as daemon:
            await daemon.said("port open")
            await daemon.said(" connected ")
            await getattr(scene.cloud.broker, away)()
            await board.send_numbered(3000)
            await board.drained()
            began = time.monotonic()
            assert await daemon.stop() == 0
            took_s = time.monotonic() - began
            assert took_s < UNIT_STOPS_WITHIN_S
        first = books(daemon)
        assert_balanced(first)
        assert (first["received"], first["waiting"], first["dropped"]) == (3000, 3000, 0)
        await scene.cloud.broker.kill()  # what lies in its sockets dies with it
        await scene.cloud.broker.start()
        async with scene.cloud.watch(TELEMETRY) as watch, scene.daemon(scene.config()) as daemon:
            arrivals = Arrivals(watch)
            await arrivals.until(3000)
            assert await daemon.stop() == 0
        assert_nothing_missing(arrivals, 3000)
        assert [seq for _, _, seq, _ in arrivals.readings()] == list(range(1, 3001))
        second = books(daemon)
        assert_balanced(second)
        assert (second["carried_over"], second["acknowledged"], second["waiting"]) == (3000, 3000, 0)
        print(f"stopped in {took_s:.1f} s with 3000 readings unacknowledged: 0 missing in the next run")
