"""A board behind a network adapter (ser2net, an ESP bridge): `socket://host:port`, raw TCP."""

from __future__ import annotations

import asyncio
import socket
from urllib.parse import urlsplit

from serial2iot.errors import PortError

SCHEME = "socket://"
CONNECT_S = 5.0
# An adapter that lost its power says nothing any more: it is given up after 30 + 3 x 10 s (tcp(7)).
_KEEP_ALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


def address(device: str) -> tuple[str, int]:
    """Host and port of such a device. Raises ValueError."""
    parts = urlsplit(device)
    if not device.startswith(SCHEME) or not parts.hostname or not parts.port or parts.path.strip("/"):
        raise ValueError(f"{device} is not {SCHEME}host:port")
    return parts.hostname, parts.port


async def connect(device: str) -> int:
    """Connect, without holding anybody else up; the descriptor. Raises PortError."""
    host, port = address(device)
    try:
        async with asyncio.timeout(CONNECT_S):
            return await _first_that_answers(host, port)
    except TimeoutError as error:
        hint = f"is the adapter on? try: ping {host}"
        raise PortError(f"{host} does not answer on port {port}", hint=hint) from error
    except OSError as error:
        raise PortError(
            f"cannot connect to {host} port {port}: {error.strerror or error}",
            hint="check the address, and that the adapter serves raw TCP on that port",
        ) from error


async def _first_that_answers(host: str, port: int) -> int:
    loop = asyncio.get_running_loop()
    failure = OSError("the name has no address")
    for family, kind, protocol, _, place in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        line = socket.socket(family, kind, protocol)
        try:
            line.setblocking(False)
            await loop.sock_connect(line, place)
            _watch_over(line)
        except OSError as error:
            line.close()
            failure = error
        except BaseException:
            line.close()
            raise
        else:
            return line.detach()
    raise failure


def _watch_over(line: socket.socket) -> None:
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in _KEEP_ALIVE:
        line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
