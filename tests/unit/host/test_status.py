"""The line that `systemctl status` shows."""

import pytest

from serial2iot.host.status import status_line


@pytest.mark.parametrize(
    ("rate", "shown"), [(0.0, "0 readings/s"), (0.24, "0.2 readings/s"), (12.3, "12 readings/s")]
)
def test_status_line(rate: float, shown: str) -> None:
    line = status_line(True, rate, 3, {"arduino": "/dev/ttyACM0", "gps": None})
    assert line == f"connected; {shown}; 3 waiting; arduino: /dev/ttyACM0; gps: absent"
