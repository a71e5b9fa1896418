"""On arm64, which a Raspberry Pi is: the wheels install without a compiler, and a configuration is checked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serial2iot.emulator.arduino import SimulatedArduino
from serial2iot.emulator.cloud import Emulator
from tests.scene import TELEMETRY
from tests.system.foreign import ForeignRoot, arm64_programs_run, why_no_arm64
from tests.system.machine import debian_root, why_not
from tests.system.pi import COPY, Checkouts, put_configuration

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]  # the root alone takes three minutes to make

PACKAGES = "python3-venv,ca-certificates"
COMMAND = "/opt/serial2iot/bin/serial2iot"


@pytest.fixture
def arm64(tmp_path: Path) -> Iterator[ForeignRoot]:
    """A fresh Debian 12 for arm64, with a checkout in /srv/now."""
    if reason := why_not() or why_no_arm64():
        pytest.skip(reason)
    Checkouts(tmp_path / "shared")
    with arm64_programs_run():
        root = debian_root("bookworm", "arm64", PACKAGES)
        yield ForeignRoot(root, tmp_path / "foreign", tmp_path / "shared")


async def test_the_wheels_install_and_the_configuration_is_checked_on_arm64(
    arm64: ForeignRoot, tmp_path: Path, cloud: Emulator
) -> None:
    assert (await arm64.run("uname", "-m")).strip() == "aarch64"
    await arm64.run("python3", "-m", "venv", "/opt/serial2iot")
    pip = ("/opt/serial2iot/bin/pip", "install", "-q", "--no-cache-dir", "-c", "/srv/now/constraints.txt")
    await arm64.run(*pip, "/srv/now")
    async with SimulatedArduino(tmp_path / "ttyACM0", period_s=None) as board:
        await arm64.run("mkdir", "-p", "/etc/serial2iot/certs", "/var/lib/serial2iot")
        put_configuration(tmp_path / "shared", cloud, str(board.link.resolve()))
        await arm64.run("sh", "-c", COPY)
        assert TELEMETRY in await arm64.run(COMMAND, "check")
