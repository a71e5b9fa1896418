"""The keys of `[[serial]]` that are about the line."""

from __future__ import annotations

import re

import pytest

from tests.configuration import Configuration

DEVICE = 'device = "/dev/ttyACM0"'


@pytest.mark.parametrize(
    ("line", "key", "what"),
    [
        ('device = "socket://host"', "device", "allowed: a path, or socket://host:port"),
        ('device = "socket://host:port"', "device", "allowed: a path, or socket://host:port"),
        ('device = "rfc2217://host:4000"', "device", "allowed: a path, or socket://host:port"),
        (f"{DEVICE}\nsilent_after_s = -1", "silent_after_s", "allowed: 0 to 86400"),
        (f'{DEVICE}\nparity = "E"', "parity", '"even"'),
        (f"{DEVICE}\nstop_bits = 3", "stop_bits", "1 or 2"),
    ],
)
def test_a_mistake_is_named(configuration: Configuration, line: str, key: str, what: str) -> None:
    configuration.replace(DEVICE, line)
    error = configuration.refused()
    assert re.search(rf"serial\[0\].{key}: .*{re.escape(what)}", str(error)), error


def test_they_reach_the_port(configuration: Configuration) -> None:
    configuration.replace(
        DEVICE,
        'device = "socket://[::1]:4000"\nsilent_after_s = 60\nreset_on_open = false\nflow_control = "rtscts"',
    )
    port = configuration.load().ports[0].port
    assert port.device == "socket://[::1]:4000"
    assert (port.silent_after_s, port.reset_on_open, port.flow_control) == (60.0, False, "rtscts")
