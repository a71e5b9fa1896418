"""A device that says exactly what a test wants, packet by packet: MQTT 5 over mutual TLS without a client library."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, TypeVar

import mqtt5

from serial2iot.emulator.cloud import Emulator
from serial2iot.emulator.pki import Credentials

PATIENCE_S = 5.0
QOS1 = mqtt5.QoS.AT_LEAST_ONCE
PacketT = TypeVar("PacketT")


class RawDevice:
    """`async with RawDevice(cloud) as device:` is TLS; `await device.connect()` is MQTT."""

    def __init__(
        self,
        cloud: Emulator,
        client_id: str = "RPI",
        credentials: Credentials | None = None,
        alpn: str | None = None,
    ) -> None:
        self.client_id = client_id
        self._cloud = cloud
        mine = credentials or cloud.credentials
        self._tls = ssl.create_default_context(cafile=str(cloud.root_ca))
        self._tls.load_cert_chain(mine.certificate, mine.private_key)
        if alpn:
            self._tls.set_alpn_protocols([alpn])
        self._data = b""
        self._packet_id = 0

    async def __aenter__(self) -> RawDevice:
        self._reader, self._writer = await asyncio.open_connection(
            self._cloud.endpoint, self._cloud.port, ssl=self._tls
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self.vanish()

    @property
    def alpn(self) -> str | None:
        """What was agreed on."""
        return self._writer.get_extra_info("ssl_object").selected_alpn_protocol()

    async def connect(self, will: tuple[str, bytes] | None = None, **more: Any) -> mqtt5.ConnAckPacket:
        """CONNECT; the CONNACK."""
        if will:
            more["will"] = mqtt5.Will(will[0], payload=will[1], qos=QOS1)
        self.send(mqtt5.ConnectPacket(self.client_id, clean_start=True, **{"keep_alive": 60, **more}))
        return await self.receive(mqtt5.ConnAckPacket)

    async def publish(self, topic: str, payload: bytes = b"{}", **more: Any) -> int:
        """PUBLISH at QoS 1; the reason code of its PUBACK."""
        self.say(topic, payload, **more)
        return int((await self.receive(mqtt5.PubAckPacket)).reason_code)

    def say(self, topic: str, payload: bytes = b"{}", **more: Any) -> None:
        """PUBLISH at QoS 1, unless told otherwise, and wait for nothing."""
        if more.setdefault("qos", QOS1) != mqtt5.QoS.AT_MOST_ONCE:
            self._packet_id = more["packet_id"] = self._packet_id % 65535 + 1
        self.send(mqtt5.PublishPacket(topic, payload, **more))

    async def subscribe(self, *filters: str, **more: Any) -> list[int]:
        """SUBSCRIBE; the reason codes of its SUBACK."""
        self.send(
            mqtt5.SubscribePacket(1, [mqtt5.TopicFilter(each, max_qos=QOS1) for each in filters], **more)
        )
        return [int(code) for code in (await self.receive(mqtt5.SubAckPacket)).reason_codes]

    def send(self, packet: mqtt5.Packet) -> None:
        """Send one packet."""
        self._writer.write(packet.write())

    async def receive(self, kind: type[PacketT]) -> PacketT:
        """The next packet, which has to be of this kind. Raises EOFError where the connection ended."""
        packet = await asyncio.wait_for(self._next(), PATIENCE_S)
        if packet is None:
            raise EOFError
        assert isinstance(packet, kind), packet
        return packet

    async def ending(self) -> int | None:
        """Wait until the server ends it: the code of its DISCONNECT, None for a hang-up. Other packets are left out."""
        code = None
        async with asyncio.timeout(PATIENCE_S):
            while (packet := await self._next()) is not None:
                if isinstance(packet, mqtt5.DisconnectPacket):
                    code = int(packet.reason_code)
        return code

    def vanish(self) -> None:
        """Be gone without a word."""
        self._writer.transport.abort()

    async def _next(self) -> mqtt5.Packet | None:
        while True:
            try:
                packet, size = mqtt5.read(memoryview(self._data))
            except IndexError:
                try:
                    more = await self._reader.read(65536)
                except (ConnectionResetError, ssl.SSLError):
                    return None
                if not more:
                    return None
                self._data += more
            else:
                self._data = self._data[size:]
                return packet
