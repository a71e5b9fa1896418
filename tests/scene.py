"""A whole scene: the cloud, a board, the daemon's configuration. Tests add what goes wrong."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from serial2iot.emulator.arduino import SimulatedArduino
from serial2iot.emulator.cloud import Emulator
from serial2iot.emulator.watch import Watch
from tests.daemon_process import DaemonProcess

TELEMETRY = "my/things/RPI/telemetry"

CONFIG = """
[thing]
name = "RPI"

[mqtt]
endpoint = "{endpoint}"
port = {port}
certificate = "{certificate}"
private_key = "{private_key}"
root_ca = "{root_ca}"
limits = "{limits}"

[telemetry]
layout = "{layout}"
{telemetry}

{serial}

[buffer]
path = "{spool}/spool.db"
{buffer}

[log]
level = "debug"
"""


class Scene:
    """What a test of the whole daemon stands on."""

    def __init__(self, place: Path, cloud: Emulator) -> None:
        self.place = place
        self.cloud = cloud
        self.link = place / "ttyACM0"
        (place / "spool").mkdir()

    def config(
        self, *, limits: str = "none", layout: str = "batch", serial: str = "", **changes: object
    ) -> Path:
        """Write the configuration; `changes` replace what the emulator says (endpoint, port, ...)."""
        values: dict[str, object] = {
            "endpoint": self.cloud.endpoint,
            "port": self.cloud.port,
            "certificate": self.cloud.certificate,
            "private_key": self.cloud.private_key,
            "root_ca": self.cloud.root_ca,
            "telemetry": "",
            "spool": self.place / "spool",
            "buffer": "",
            **changes,
        }
        serial = serial or f'[[serial]]\nname = "arduino"\ndevice = "{self.link}"\n'
        path = self.place / "config.toml"
        path.write_text(CONFIG.format(limits=limits, layout=layout, serial=serial, **values))
        return path

    def board(self, *, period_s: float | None = None, link: Path | None = None) -> SimulatedArduino:
        """An Arduino that says nothing by itself unless it is given a period."""
        return SimulatedArduino(link or self.link, period_s=period_s)

    def daemon(self, config: Path, **environment: str) -> DaemonProcess:
        """The daemon on that configuration."""
        return DaemonProcess(config, **environment)


@pytest_asyncio.fixture
async def scene(tmp_path: Path, cloud: Emulator) -> AsyncIterator[Scene]:
    """A scene on the cloud fixture."""
    yield Scene(tmp_path, cloud)


def books(daemon: DaemonProcess) -> dict[str, int]:
    """What the daemon said when it stopped: one number for each word."""
    line = next(line for line in daemon.log if "stopped" in line and "received=" in line)
    return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", line)}


class Arrivals:
    """The readings that a watch has seen, in the order in which they came, doubles included."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def readings(self) -> list[tuple[str, int, int, dict[str, object]]]:
        """(port, run, seq, values) of each."""
        return [(each["port"], each["run"], each["seq"], each["values"]) for each in self.entries()]

    def entries(self) -> list[dict[str, Any]]:
        """Each as a single message would have it."""
        messages = [json.loads(arrival.payload) for arrival in self._watch.seen]
        return [message | entry for message in messages for entry in message.get("readings", [message])]

    def doubles(self) -> int:
        """How many came more than once."""
        names = Counter((port, run, seq) for port, run, seq, _ in self.readings())
        return sum(names.values()) - len(names)

    async def until(self, count: int, within_s: float = 30.0) -> None:
        """Wait until so many different readings have come. Raises TimeoutError that says how many did."""
        try:
            async with asyncio.timeout(within_s):
                while len({reading[:3] for reading in self.readings()}) < count:
                    await asyncio.sleep(0.05)
        except TimeoutError:
            have = len({reading[:3] for reading in self.readings()})
            raise TimeoutError(f"{have} of {count} readings in {within_s} s") from None
