"""A port by its name in the configuration, for commands that take either that or what they are told."""

from __future__ import annotations

import argparse
import os

from serial2iot.commands.config_option import config_path
from serial2iot.errors import PortError
from serial2iot.settings import PortSettings, load


def configured_port(args: argparse.Namespace, name: str | None) -> PortSettings:
    """The port of that name; without one, the only port there is. Raises ConfigError, PortError."""
    path = config_path(args)
    ports = {each.port.name: each for each in load(path, os.environ).ports}
    if name is None and len(ports) == 1:
        return next(iter(ports.values()))
    if name not in ports:
        wrong = f"there is no port {name}" if name else "there are several ports"
        raise PortError(f"{wrong} in {path}", hint=f"its ports: {', '.join(ports)}")
    return ports[name]
