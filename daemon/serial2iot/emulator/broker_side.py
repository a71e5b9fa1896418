"""One device's connection to mosquitto's private listener, behind the front."""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol

from serial2iot.emulator.packets import GOODBYE


class DeviceSide(Protocol):
    """Who is told."""

    def from_broker(self, data: bytes) -> None:
        """Bytes came."""

    def broker_left(self) -> None:
        """mosquitto has closed, and so has taken all it was sent, or is gone."""

    def pause(self, paused: bool) -> None:
        """mosquitto reads slower than we write, or has caught up."""


class BrokerSide(asyncio.Protocol):
    """Bytes to and from mosquitto."""

    def __init__(self, device: DeviceSide) -> None:
        self._device = device
        self._transport: asyncio.Transport | None = None
        self._leaving = False

    async def open(self, port: int) -> None:
        """Connect. Raises OSError."""
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", port)

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._transport is not None

    def write(self, data: bytes) -> None:
        """Send."""
        if self._transport is not None:
            self._transport.write(data)

    def pause(self, paused: bool) -> None:
        """Stop to read, or go on."""
        if self._transport is None or self._leaving:
            return
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def leave(self, goodbye: bytes = GOODBYE) -> None:
        """Say goodbye; mosquitto closes when it has come to that."""
        if self._transport is None or self._leaving:
            return
        self._transport.write(goodbye)
        self._transport.resume_reading()  # else its end is not noticed
        self._leaving = True

    def abort(self) -> None:
        """Be gone at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        # Else what follows a PUBACK waits 40 ms for its ACK.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._leaving:
            self._device.from_broker(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._device.broker_left()

    def pause_writing(self) -> None:
        self._device.pause(True)

    def resume_writing(self) -> None:
        self._device.pause(False)
