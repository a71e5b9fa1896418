"""A Raspberry Pi as tests/system sees it: a machine, a board on /dev/ttyACM0, a cloud, and checkouts to deploy."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from serial2iot.emulator.arduino import SimulatedArduino
from serial2iot.emulator.cloud import Emulator
from tests.system.machine import Machine

ROOT = Path(__file__).resolve().parents[2]
NOT_IN_A_CHECKOUT = shutil.ignore_patterns(
    ".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", "build", "dist"
)
DIALOUT = 20  # Debian's, since ever
PATIENCE_S = 40.0

CONFIG = """\
[thing]
name = "RPI"

[mqtt]
endpoint = "{cloud.endpoint}"
port = {cloud.port}

[[serial]]
name = "arduino"
device = "{device}"
"""

COPY = "cp /srv/credentials/* /etc/serial2iot/certs; cp /srv/config.toml /etc/serial2iot"


class Checkouts:
    """Copies of this checkout in a folder that a machine sees as /srv."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.make("now")
        self.version = next(
            line.split('"')[1]
            for line in (ROOT / "pyproject.toml").read_text().splitlines()
            if line.startswith("version = ")
        )

    def make(self, name: str, version: str | None = None) -> Path:
        """A copy, which may say that it is another version."""
        copy = self.folder / name
        shutil.copytree(ROOT, copy, ignore=NOT_IN_A_CHECKOUT)
        if version is not None:
            for file in (copy / "pyproject.toml", copy / "daemon/serial2iot/__init__.py"):
                file.write_text(
                    file.read_text().replace(f'version = "{self.version}"', f'version = "{version}"')
                )
                file.write_text(
                    file.read_text().replace(f'__version__ = "{self.version}"', f'__version__ = "{version}"')
                )
        return copy


class Pi:
    """What a person does on it, and what they see."""

    def __init__(self, machine: Machine, cloud: Emulator, checkouts: Checkouts) -> None:
        self.machine = machine
        self.cloud = cloud
        self.checkouts = checkouts
        self.run = machine.run

    async def deploy(self, *words: str, checkout: str = "now", **environment: str) -> tuple[int, str]:
        """Exit status of `deploy.sh`, and what it said."""
        script = f"/srv/{checkout}/deploy.sh"
        return await self.machine.status(script, *words, within_s=200, **environment)

    async def install(self) -> None:
        """Bring it into the state that most tests begin with: this version, configured, running."""
        if (await self.machine.status("test", "-d", "/etc/serial2iot/certs"))[0] != 0:
            await self.deploy_well("install")
        await self.configure()  # a test may have spoiled it
        await self.deploy_well("install")
        await self.run("systemctl", "restart", "serial2iot")

    async def deploy_well(self, *words: str, checkout: str = "now") -> str:
        """What `deploy.sh` said, which must have succeeded."""
        status, said = await self.deploy(*words, checkout=checkout)
        assert status == 0, said
        return said

    async def configure(self) -> None:
        """Put the credentials and the configuration where their owner would put them, as root with cp."""
        put_configuration(self.checkouts.folder, self.cloud)
        await self.run("sh", "-c", COPY)

    async def drop_in(self, *lines: str) -> None:
        """What `systemctl edit` does: further lines for [Service], or none."""
        await self.run("rm", "-f", "/etc/systemd/system/serial2iot.service.d/override.conf")
        if lines:
            (self.checkouts.folder / "override.conf").write_text("\n".join(["[Service]", *lines, ""]))
            target = "/etc/systemd/system/serial2iot.service.d/override.conf"
            await self.run("install", "-D", "/srv/override.conf", target)
        await self.run("systemctl", "daemon-reload")

    async def show(self, *properties: str) -> dict[str, str]:
        """Properties of the service."""
        said = await self.run(
            "systemctl", "show", "serial2iot", *(f"--property={each}" for each in properties)
        )
        return dict(line.split("=", 1) for line in said.splitlines())

    async def pid(self) -> int:
        """The daemon's process, 0 if there is none."""
        return int((await self.show("MainPID"))["MainPID"])

    async def journal(self, *matches: str) -> list[dict[str, str]]:
        """What the journal has of the service, entry by entry."""
        await self.run("journalctl", "--sync")
        said = await self.run("journalctl", "--unit=serial2iot", "--output=json", "--no-pager", *matches)
        return [json.loads(line) for line in said.splitlines() if line.startswith("{")]

    async def until(self, what: str, condition: Callable[[], Awaitable[bool]]) -> None:
        """Wait for something that a person would see. Raises AssertionError with the journal's end."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not await condition():
                    await asyncio.sleep(0.1)
        except TimeoutError:
            lines = [str(entry.get("MESSAGE")) for entry in await self.journal("--lines=30")]
            raise AssertionError(f"never came: {what}\n" + "\n".join(lines)) from None


def as_serial_device(board: SimulatedArduino) -> Path:
    """The board's device, with the owner and mode that udev gives a real one."""
    device = board.link.resolve()
    os.chown(device, 0, DIALOUT)
    device.chmod(0o660)
    return device


def put_configuration(folder: Path, cloud: Emulator, device: str = "/dev/ttyACM0") -> None:
    """Write a configuration and, under the names that it takes for granted, the credentials, for `COPY`."""
    credentials = folder / "credentials"
    credentials.mkdir(exist_ok=True)
    shutil.copy(cloud.certificate, credentials / "device.pem.crt")
    shutil.copy(cloud.private_key, credentials / "private.pem.key")
    shutil.copy(cloud.root_ca, credentials / "AmazonRootCA1.pem")
    (folder / "config.toml").write_text(CONFIG.format(cloud=cloud, device=device))
