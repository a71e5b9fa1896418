"""TCP ports of this machine's loopback."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from serial2iot.errors import EmulatorError

_TRIES = 1000


def loopback_addresses() -> list[str]:
    """Return what `localhost` may mean here: a machine may be without IPv6."""
    return [address for address in ("127.0.0.1", "::1") if _can_bind(0, address)]


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the port now."""
    return all(_can_bind(port, address) for address in loopback_addresses())


def free_port() -> int:
    """Return a free port below the range from which the kernel gives ports to outgoing connections.

    Within that range, a client that tries again and again to reach a server that is down ends up connected to
    itself, and the server cannot come back.
    """
    ephemeral = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    below = range(10_000, max(int(ephemeral.split()[0]), 20_000))
    for _ in range(_TRIES):
        if is_free(port := random.choice(below)):
            return port
    raise EmulatorError("there is no free port", hint="see what listens on this machine (ss -ltn)")


def _can_bind(port: int, address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError:
        return False
    return True
