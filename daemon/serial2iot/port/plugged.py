"""What is plugged in, as pyserial reads it from sysfs: the only module that knows pyserial. Opens nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from serial.tools import list_ports

from serial2iot.port.holders import Holder, holders
from serial2iot.port.options import DeviceMatch

BY_ID = Path("/dev/serial/by-id")

# Programs that take ports by themselves, and what keeps them off. They speak to whatever they find.
_INTRUDERS = {
    "ModemManager": "it writes AT to every new port: sudo systemctl disable --now ModemManager",
    "brltty": "it takes CH340 and CP210x adapters for Braille displays: sudo apt-get remove brltty",
    "agetty": "a login console runs here: sudo raspi-config, Interface Options, Serial Port, login shell: no",
    "getty": "a login console runs here: sudo raspi-config, Interface Options, Serial Port, login shell: no",
    "gpsd": "it takes GPS receivers by itself: sudo systemctl disable --now gpsd.socket gpsd",
}


class Plugged(NamedTuple):
    """One serial device. `name` is its place under /dev/serial/by-id, which does not change with the socket."""

    device: str
    name: str | None
    vid: int | None
    pid: int | None
    serial: str | None
    product: str | None
    held_by: tuple[Holder, ...]

    @property
    def warnings(self) -> list[str]:
        """What to do about holders that did not ask."""
        return [f"{each}: {_INTRUDERS[each.name]}" for each in self.held_by if each.name in _INTRUDERS]


def find(match: DeviceMatch) -> str | None:
    """Where the first device that matches is, or None."""
    wanted = {"vid": match.vid, "pid": match.pid, "serial_number": match.serial}
    for info in _devices():
        if all(value is None or getattr(info, name) == value for name, value in wanted.items()):
            return str(info.device)
    return None


def plugged() -> list[Plugged]:
    """Every serial device there is, and who holds it as far as that can be seen (see `holders`)."""
    names = _names()
    return [
        Plugged(
            str(info.device),
            names.get(str(Path(info.device).resolve())),
            info.vid,
            info.pid,
            info.serial_number,
            info.product or info.description if info.vid is not None else None,
            tuple(holders(info.device)),
        )
        for info in sorted(_devices())
    ]


def _devices() -> list[Any]:
    try:
        return list(list_ports.comports())
    except (OSError, TypeError, ValueError):  # it trips over a device that goes while it looks
        return []


def _names() -> dict[str, str]:
    """Devices to their names by id. The kernel knows no such names; udev makes them."""
    if not BY_ID.is_dir():
        return {}
    return {str(link.resolve()): str(link) for link in sorted(BY_ID.iterdir())}
