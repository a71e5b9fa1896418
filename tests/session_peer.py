"""A session of the daemon's, and what it told: for tests of the link between it and the cloud."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from serial2iot.cloud.delivery import Delivery
from serial2iot.cloud.diagnosis import LinkLoss
from serial2iot.cloud.options import SessionOptions
from serial2iot.cloud.session import Session
from serial2iot.emulator.cloud import Emulator
from serial2iot.emulator.pki import Credentials

PATIENCE_S = 10.0
GONE = b'{"state":{"reported":{"connected":false}}}'


class Peer:
    """A session and what it told."""

    def __init__(self, options: SessionOptions, will: str) -> None:
        self.ups = 0
        self.losses: list[LinkLoss] = []
        self.up = asyncio.Event()
        self.down = asyncio.Event()
        self.on_up: Callable[[], None] = lambda: None
        self.session = Session(options, (will, GONE), on_up=self._up, on_down=self._down)

    def _up(self) -> None:
        self.ups += 1
        self.down.clear()
        self.up.set()
        self.on_up()

    def _down(self, loss: LinkLoss) -> None:
        self.losses.append(loss)
        self.up.clear()
        self.down.set()

    async def publish(self, topic: str, payload: bytes = b"{}") -> Delivery:
        answer: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        self.session.publish(topic, payload, answer.set_result)
        return await asyncio.wait_for(answer, PATIENCE_S)


def options_for(cloud: Emulator, credentials: Credentials | None = None) -> SessionOptions:
    mine = credentials or cloud.credentials
    return SessionOptions(
        cloud.endpoint, "RPI", mine.certificate, mine.private_key, cloud.root_ca, port=cloud.port
    )


@asynccontextmanager
async def connecting(options: SessionOptions, will: str = "will/RPI") -> AsyncIterator[Peer]:
    """A session that tries to connect; its will goes to the topic `will`."""
    peer = Peer(options, will)
    peer.session.start()
    try:
        yield peer
    finally:
        await peer.session.stop(PATIENCE_S)


@asynccontextmanager
async def connected(cloud: Emulator, **changes: object) -> AsyncIterator[Peer]:
    async with connecting(replace(options_for(cloud), **changes)) as peer:
        await asyncio.wait_for(peer.up.wait(), PATIENCE_S)
        yield peer
