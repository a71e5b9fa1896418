"""What `load` gives: the options of each room, none of which sees another's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serial2iot.cloud.credentials import Validity
from serial2iot.cloud.options import PresenceOptions, SessionOptions, TelemetryOptions
from serial2iot.host.logs import LogOptions
from serial2iot.port.options import PortOptions
from serial2iot.spool.contract import SpoolOptions
from serial2iot.wire.options import WireOptions


@dataclass(frozen=True, slots=True)
class PortSettings:
    """One `[[serial]]`: the line, and what its bytes mean."""

    port: PortOptions
    wire: WireOptions


@dataclass(frozen=True, slots=True)
class Settings:
    """A configuration that can be used. `warnings` are sentences for the log and for `check`."""

    path: Path
    thing: str
    session: SessionOptions
    presence: PresenceOptions
    telemetry: TelemetryOptions
    ports: tuple[PortSettings, ...]
    spool: SpoolOptions
    log: LogOptions
    credentials: Validity
    warnings: tuple[str, ...] = ()
