"""Ports that stay ours."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from serial2iot.emulator.ports import free_port, is_free, loopback_addresses


def test_a_free_port_is_free_and_never_given_to_an_outgoing_connection() -> None:
    lowest_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(50):
        port = free_port()
        assert 1024 < port < lowest_ephemeral
        assert is_free(port)


@pytest.mark.parametrize("address", loopback_addresses())
def test_a_port_that_somebody_listens_on_is_not_free(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        assert not is_free(server.getsockname()[1])
