"""A configuration to spoil: good as it is, with real credentials beside it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serial2iot.emulator import pki
from serial2iot.errors import ConfigError
from serial2iot.settings import Settings, load

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)

GOOD = """\
[thing]
name = "RPI"

[mqtt]
endpoint = "abcdef-ats.iot.ap-northeast-2.amazonaws.com"
port = 8883
keep_alive_s = 30
certificate = "device.pem.crt"
private_key = "private.pem.key"
root_ca = "AmazonRootCA1.pem"

[presence]
topic = "my/things/{thing}/update"

[telemetry]
topic = "my/things/{thing}/telemetry"
layout = "single"
max_bytes = 5120

[[serial]]
name = "arduino"
device = "/dev/ttyACM0"
baud = 115200

[[serial]]
name = "gps"
device = "/dev/ttyUSB0"
framing = "lines"

[buffer]
max_bytes = "64 MiB"
memory_max_bytes = "8 MiB"

[log]
level = "info"
"""


class Configuration:
    """A folder with a configuration and the files it names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "config.toml"
        self.path.write_text(GOOD)

    def replace(self, line: str, by: str) -> int:
        """Put other lines in the place of one; the number of the first."""
        lines = self.path.read_text().splitlines()
        at = lines.index(line)
        lines[at : at + 1] = by.splitlines()
        self.path.write_text("\n".join(lines) + "\n")
        return at + 1

    def load(self, environ: Mapping[str, str] | None = None, now: datetime = NOW) -> Settings:
        """What the daemon would get."""
        return load(self.path, environ or {}, now)

    def refused(self, environ: Mapping[str, str] | None = None) -> ConfigError:
        """The error with which it is refused."""
        with pytest.raises(ConfigError) as caught:
            self.load(environ)
        return caught.value


@pytest.fixture(scope="session")
def device_credentials(tmp_path_factory: pytest.TempPathFactory) -> pki.Credentials:
    """Of one device, made once; to be copied, not changed."""
    return pki.Authority.open(tmp_path_factory.mktemp("authority"), NOW).device("RPI", NOW)


@pytest.fixture
def configuration(tmp_path: Path, device_credentials: pki.Credentials) -> Configuration:
    """A good configuration in a folder of its own."""
    good = device_credentials
    for path in (good.certificate, good.private_key, good.root_ca):
        shutil.copy(path, tmp_path)
    return Configuration(tmp_path)
