"""What `[mqtt]`, `[presence]` and `[telemetry]` say, checked and filled in by settings.py.

Topics have `{thing}` filled in; the telemetry topic keeps `{port}` until a lane is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How to reach the broker. Times in seconds."""

    endpoint: str
    client_id: str
    certificate: Path
    private_key: Path
    root_ca: Path
    port: int = 8883  # 443 means ALPN x-amzn-mqtt-ca
    keep_alive_s: int = 30
    session_expiry_s: int = 0


@dataclass(frozen=True, slots=True)
class PresenceOptions:
    """Where `connected` is said, and whose shadow is to follow."""

    thing: str
    topic: str


@dataclass(frozen=True, slots=True)
class TelemetryOptions:
    """What a telemetry message looks like and when it closes."""

    thing: str
    topic: str
    layout: Literal["single", "batch"] = "single"
    max_readings: int = 64
    max_bytes: int = 5120  # payload and topic together: AWS meters in 5 KiB steps
    max_age_s: float = 1.0
    limits: Literal["aws", "none"] = "aws"
