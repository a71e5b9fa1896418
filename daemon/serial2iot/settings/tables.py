"""The tables that a file has once: their keys, bounds and defaults. Where a bound is not ours, it says whose it is.

`Tree` is all of them together; pydantic-settings derives the names of the environment variables from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from serial2iot.cloud import credentials, topics
from serial2iot.errors import ConfigError
from serial2iot.host.logs import CrtLevel, Level
from serial2iot.settings.serial_table import SerialTable
from serial2iot.settings.values import Between, FileName, Number, Size, Whole, sentenced, shown, size_text

CERTIFICATES = Path("/etc/serial2iot/certs")
LONGEST_CLIENT_ID = 128  # bytes; AWS IoT Core quotas, message broker
LONGEST_SESSION_S = 604_800  # AWS IoT Core quotas, message broker: a persistent session ends after 7 days
LARGEST_PAYLOAD = 128 << 10  # bytes; AWS IoT Core quotas, message broker

_THING = re.compile(r"[A-Za-z0-9:_-]{1,128}")  # AWS IoT API, CreateThing: thingName
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_WHERE_ENDPOINTS_ARE = "aws iot describe-endpoint --endpoint-type iot:Data-ATS"


def _thing_name(name: str) -> str:
    if not _THING.fullmatch(name):
        raise ConfigError(f"{shown(name)} is no thing name; allowed: 1 to 128 letters, digits, : _ -")
    return name


def _host_name(endpoint: str) -> str:
    if _HOST.fullmatch(endpoint):
        return endpoint
    hint = f"See {_WHERE_ENDPOINTS_ARE}"
    if "://" in endpoint or "/" in endpoint:
        hint = "Leave out what stands before :// and after /."
    elif re.fullmatch(r".+:\d+", endpoint):
        hint = "The port is a key of its own: mqtt.port."
    raise ConfigError(f"{shown(endpoint)} is no host name; allowed: letters, digits, . -", hint=hint)


def _client_id(template: str) -> str:
    client_id = topics.fill(template, thing="x")
    if not client_id.isprintable() or not 1 <= len(client_id.encode()) <= LONGEST_CLIENT_ID:
        raise ConfigError(
            f"{shown(template)} is no client id; allowed: 1 to {LONGEST_CLIENT_ID} bytes of text"
        )
    return template


def _topic(*names: str, telemetry: bool) -> Callable[[str], str]:
    """Judges a template by everything but the length of what is filled in, which only the whole file knows."""

    def judge(template: str) -> str:
        topics.check(topics.fill(template, **dict.fromkeys(names, "x")), telemetry=telemetry)
        return template

    return judge


def _certificate(path: Path) -> Path:
    credentials.check_certificate(path)
    return path


def _private_key(path: Path) -> Path:
    credentials.check_private_key(path)
    return path


Certificate: TypeAlias = Annotated[FileName, AfterValidator(sentenced(_certificate))]
PrivateKey: TypeAlias = Annotated[FileName, AfterValidator(sentenced(_private_key))]


class Table(BaseModel):
    """Of the configuration. An unknown key is an error: a misspelt one must not be silently without effect."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ThingTable(Table):
    """`[thing]`"""

    name: Annotated[str, AfterValidator(sentenced(_thing_name))]


class MqttTable(Table):
    """`[mqtt]`"""

    endpoint: Annotated[str, AfterValidator(sentenced(_host_name))]
    port: Annotated[Whole, AfterValidator(Between(1, 65_535))] = 8883
    client_id: Annotated[str, AfterValidator(sentenced(_client_id))] = "{thing}"
    # AWS IoT Core quotas, message broker: 30 to 1200; anything else is changed by the server, unsaid in MQTT 3.
    keep_alive_s: Annotated[Whole, AfterValidator(Between(30, 1200))] = 30
    session_expiry_s: Annotated[Whole, AfterValidator(Between(0, LONGEST_SESSION_S))] = 0
    limits: Literal["aws", "none"] = "aws"
    certificate: Certificate = Field(CERTIFICATES / "device.pem.crt", validate_default=True)
    private_key: PrivateKey = Field(CERTIFICATES / "private.pem.key", validate_default=True)
    root_ca: Certificate = Field(CERTIFICATES / "AmazonRootCA1.pem", validate_default=True)


class PresenceTable(Table):
    """`[presence]`"""

    topic: Annotated[str, AfterValidator(sentenced(_topic("thing", telemetry=False)))] = (
        "my/things/{thing}/update"
    )


class TelemetryTable(Table):
    """`[telemetry]`"""

    topic: Annotated[str, AfterValidator(sentenced(_topic("thing", "port", telemetry=True)))] = (
        "my/things/{thing}/telemetry"
    )
    layout: Literal["single", "batch"] = "single"
    max_readings: Annotated[Whole, AfterValidator(Between(1, 10_000))] = 64
    max_bytes: Annotated[Size, AfterValidator(Between(512, LARGEST_PAYLOAD, size_text))] = 5120
    max_age_s: Annotated[Number, AfterValidator(Between(0, 3600))] = 1.0


class BufferTable(Table):
    """`[buffer]`"""

    path: FileName = Path("/var/lib/serial2iot/spool.db")
    max_bytes: Annotated[Size, AfterValidator(Between(4 << 10, 1 << 40, size_text))] = 64 << 20
    memory_max_bytes: Annotated[Size, AfterValidator(Between(4 << 10, 1 << 40, size_text))] = 8 << 20
    commit_after_s: Annotated[Number, AfterValidator(Between(0, 3600))] = 3.0
    when_full: Literal["drop-oldest", "drop-newest"] = "drop-oldest"


class LogTable(Table):
    """`[log]`"""

    level: Level = "info"
    crt_level: CrtLevel = "none"


class Tree(BaseSettings):
    """The whole file. Only declared here; `loading` validates it table by table, to find every problem."""

    model_config = SettingsConfigDict(env_prefix="SERIAL2IOT_", env_nested_delimiter="__")

    thing: ThingTable
    mqtt: MqttTable
    presence: PresenceTable
    telemetry: TelemetryTable
    serial: tuple[SerialTable, ...]
    buffer: BufferTable
    log: LogTable
