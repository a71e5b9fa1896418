"""What one `[[serial]]` says about the line itself; what its bytes mean is in `wire`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class DeviceMatch:
    """Picks a USB device by what it says of itself. None matches anything."""

    vid: int | None = None
    pid: int | None = None
    serial: str | None = None


@dataclass(frozen=True, slots=True)
class PortOptions:
    """Exactly one of `device` and `match` is given. `device` may be a path or `socket://host:port`."""

    name: str
    device: str | None = None
    match: DeviceMatch | None = None
    baud: int = 115200
    data_bits: Literal[5, 6, 7, 8] = 8
    parity: Literal["none", "even", "odd", "mark", "space"] = "none"
    stop_bits: Literal[1, 2] = 1
    flow_control: Literal["none", "rtscts", "xonxoff"] = "none"
    reset_on_open: bool = True  # False: clear HUPCL, leave DTR up: later opens usually do not reset the board
    silent_after_s: float = (
        0.0  # a line silent for so long is said to be, reopened, reset; 0: silence is normal
    )
