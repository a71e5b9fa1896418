"""The state of the daemon in one line, for `systemctl status`."""

from __future__ import annotations

from collections.abc import Mapping


def status_line(connected: bool, rate: float, waiting: int, ports: Mapping[str, str | None]) -> str:
    """`connected; 12 readings/s; 0 waiting; arduino: /dev/ttyACM0`. `rate` in readings a second."""
    link = "connected" if connected else "offline"
    shown = f"{rate:.0f}" if rate >= 10 or rate == 0 else f"{rate:.1f}"
    places = [f"{name}: {device or 'absent'}" for name, device in ports.items()]
    return "; ".join([link, f"{shown} readings/s", f"{waiting} waiting", *places])
