"""What is plugged in, as pyserial reads it from sysfs: the only module that knows pyserial."""

from __future__ import annotations

from serial.tools import list_ports

from serial2iot.port.options import DeviceMatch


def find(match: DeviceMatch) -> str | None:
    """The first device that matches, or None. Looks at sysfs, opens nothing."""
    wanted = {"vid": match.vid, "pid": match.pid, "serial_number": match.serial}
    for info in list_ports.comports():
        if all(value is None or getattr(info, name) == value for name, value in wanted.items()):
            return str(info.device)
    return None
