"""One machine for each Debian that is supported, with a board and a cloud, for all tests of the module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from serial2iot.emulator.arduino import SimulatedArduino
from serial2iot.emulator.cloud import Emulator, EmulatorOptions
from tests.system.machine import Machine, debian_root, why_not
from tests.system.pi import Checkouts, Pi, as_serial_device

SUITES = ("bookworm", "trixie")  # Raspberry Pi OS 12 and 13


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=SUITES)
async def pi(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pi]:
    """A fresh Debian with a board plugged in."""
    if reason := why_not():
        pytest.skip(reason)
    place = tmp_path_factory.mktemp(request.param)
    shared = place / "shared"
    checkouts = Checkouts(shared)
    async with (
        Emulator(EmulatorOptions(place / "cloud")) as cloud,
        SimulatedArduino(place / "ttyACM0", period_s=0.2) as board,
    ):
        binds = {"/srv": shared, "/dev/ttyACM0": as_serial_device(board)}
        async with Machine(debian_root(request.param), place, binds) as machine:
            yield Pi(machine, cloud, checkouts)


@pytest_asyncio.fixture(loop_scope="module")
async def running(pi: Pi) -> Pi:
    """The Pi with this version installed, configured and running, whatever was done to it before."""
    await pi.drop_in()
    await pi.install()
    await pi.cloud.until_reported(connected=True, within_s=20)
    return pi
