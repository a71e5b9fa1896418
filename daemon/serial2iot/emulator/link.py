"""A connection of the cloud's own parts to the broker's private listener. The only module that knows aiomqtt.

Rules:

1. It comes back by itself, and subscribes again, as often as the broker goes.
2. What is sent is sent in order, each after the PUBACK of the one before, and again after a lost connection
   until there is one: at least once, as rules and the shadow service do it in AWS.
3. Retained messages are not delivered: a rule does not fire because its subscription is new.
4. Messages are delivered on the loop as they come, without a task for each.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

RETRY_S = 0.02  # the broker is on this machine and back within this
_NO_DELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else what follows a PUBACK waits 40 ms for its ACK
_SUBSCRIBE = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)

# How the front marks a will: nothing else of it tells a service that it is one.
_WILL = ("serial2iot", "will")

# A broker that goes is no news to us, and the client below logs each as an error.
_LOG = logging.getLogger("serial2iot.emulator.link")
_LOG.addHandler(logging.NullHandler())
_LOG.propagate = False


class Arrival(NamedTuple):
    """A message as it came; `at` is monotonic, in seconds."""

    topic: str
    payload: bytes
    at: float
    is_will: bool = False  # known of those that the front published


_Outgoing: TypeAlias = tuple[str, bytes, int, Properties | None]


class Link:
    """One MQTT 5 client. `deliver` is called on the loop; what it raises ends the link."""

    def __init__(self, port: int, filters: Sequence[str], deliver: Callable[[Arrival], None]) -> None:
        self._port = port
        self._filters = filters
        self._deliver = deliver
        self._up = asyncio.Event()
        self._down = asyncio.Event()
        self._outbox: asyncio.Queue[_Outgoing] = asyncio.Queue()
        self._unacknowledged: _Outgoing | None = None
        self._failure: Exception | None = None

    def send(self, topic: str, payload: bytes, qos: int = 1, *, will: bool = False) -> None:
        """Publish, when it is its turn and the broker is there."""
        self._outbox.put_nowait((topic, payload, qos, _will_properties() if will else None))

    async def flushed(self) -> None:
        """Wait until everything sent has its PUBACK."""
        await self._outbox.join()

    async def up(self) -> None:
        """Wait until it is connected and subscribed."""
        await self._up.wait()

    async def down(self) -> None:
        """Wait until it has noticed that the broker is gone."""
        await self._down.wait()

    async def run(self) -> None:
        """Connect, and connect again, until cancelled."""
        while True:
            try:
                await self._connected()
            except* aiomqtt.MqttError:
                pass
            finally:
                self._up.clear()
                self._down.set()
            if self._failure:
                raise self._failure
            await asyncio.sleep(RETRY_S)

    async def _connected(self) -> None:
        client = aiomqtt.Client(
            "127.0.0.1",
            self._port,
            protocol=aiomqtt.ProtocolVersion.V5,
            queue_type=self._inbox(),
            socket_options=[_NO_DELAY],
            logger=_LOG,
        )
        async with client, asyncio.TaskGroup() as tasks:
            if self._filters:
                await client.subscribe([(topic, _SUBSCRIBE) for topic in self._filters])
            self._down.clear()
            self._up.set()
            tasks.create_task(self._notice_the_end(client))
            tasks.create_task(self._send_in_turn(client))

    def _inbox(self) -> type[asyncio.Queue[aiomqtt.Message]]:
        """Return a queue for the client that passes everything on at once and stays empty."""
        link = self

        class Inbox(asyncio.Queue[aiomqtt.Message]):
            def put_nowait(self, item: aiomqtt.Message) -> None:
                link._receive(item)

        return Inbox

    def _receive(self, message: aiomqtt.Message) -> None:
        try:
            is_will = _WILL in getattr(message.properties, "UserProperty", ())
            self._deliver(Arrival(message.topic.value, message.payload, time.monotonic(), is_will))
        except Exception as error:
            self._failure = error
            raise

    async def _notice_the_end(self, client: aiomqtt.Client) -> None:
        async for _ in client.messages:  # there is none; it raises when the connection is lost
            pass

    async def _send_in_turn(self, client: aiomqtt.Client) -> None:
        while True:
            if self._unacknowledged is None:
                self._unacknowledged = await self._outbox.get()
            topic, payload, qos, properties = self._unacknowledged
            await client.publish(topic, payload, qos, properties=properties, timeout=math.inf)
            self._unacknowledged = None
            self._outbox.task_done()


def _will_properties() -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.UserProperty = _WILL
    return properties
