"""One device: TLS towards it, a plain connection of its own towards mosquitto, and what AWS does in between.

Rules:

1. Packets pass as they came. They are all read, and written anew only where AWS would have it otherwise.
2. mosquitto never learns of a will: the front keeps it. It comes due when mosquitto has taken everything that the
   device sent before, so that it is never published ahead of that.
3. A publish or subscribe that the policy refuses ends the connection without an answer, as AWS does it.
4. `end` is the only way out, and the first reason counts.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections import Counter
from enum import Enum, auto
from typing import NamedTuple, Protocol

import mqtt5

from serial2iot.emulator import packets
from serial2iot.emulator.broker_side import BrokerSide
from serial2iot.emulator.faults import Cut, Disconnect, Effect, Puback, Withhold
from serial2iot.emulator.judge import Judge, Terms
from serial2iot.emulator.lifecycle import Presence, Reason
from serial2iot.emulator.pki import thing_of
from serial2iot.emulator.policy import Client
from serial2iot.emulator.quotas import Bucket, Usage
from serial2iot.emulator.tls import TlsServer
from serial2iot.emulator.wills import Will

LOGGED = 1000

_Code = mqtt5.DisconnectReasonCode


class State(Enum):
    """Where a connection stands."""

    FRESH = auto()  # no CONNECT yet
    OPENING = auto()  # admitted; mosquitto has not answered
    UP = auto()
    OVER = auto()


class Seen(NamedTuple):
    """A packet from the device: its kind, as in "Publish", and its topic, or filters with spaces between them."""

    kind: str
    topic: str = ""


class House(Protocol):
    """Where connections belong."""

    terms: Terms
    plain_port: int

    def made(self, connection: Connection) -> None:
        """TCP is there."""

    def admit(self, connection: Connection) -> mqtt5.ConnAckReasonCode:
        """Decide on a CONNECT."""

    def entered(self, connection: Connection) -> None:
        """CONNACK was sent."""

    def left(self, connection: Connection) -> None:
        """A connection that was up is over, and mosquitto has taken everything of it."""

    def gone(self, connection: Connection) -> None:
        """Nothing is left of it."""

    def broken(self, error: Exception) -> None:
        """We made a mistake."""


class Connection(TlsServer):
    """One device's connection, from TCP to its end."""

    connect: mqtt5.ConnectPacket
    presence: Presence  # for those that were admitted
    judge: Judge

    def __init__(self, context: ssl.SSLContext, house: House) -> None:
        super().__init__(context)
        self.state = State.FRESH
        self.ended: Reason | None = None
        self.log: list[Seen] = []  # the first LOGGED packets
        self.packets: Counter[str] = Counter()  # all, by kind
        self.will: Will | None = None
        self._house = house
        self._loop = asyncio.get_running_loop()
        self._broker = BrokerSide(self)
        self._opening: asyncio.Task[None] | None = None
        self._unread = b""  # less than a packet, or packets that came before our CONNACK
        self._unread_back = b""
        self._out: list[bytes | memoryview] = []
        self._aliases: dict[int, str] = {}
        self._withheld: set[int] = set()
        self._bucket: Bucket | None = None
        self._resuming: asyncio.TimerHandle | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._heard_at = 0.0
        self._entered = False
        self._lost = False

    @property
    def client_id(self) -> str:
        """What the device calls itself."""
        return self.connect.client_id

    @property
    def publishes(self) -> list[str]:
        """The topics of the first publishes of the device, in order, whatever became of them."""
        return [seen.topic for seen in self.log if seen.kind == "Publish"]

    @property
    def usage(self) -> Usage:
        """What it used of the quotas, counted also when they are not kept."""
        return self.judge.usage

    def end(
        self, reason: Reason, code: _Code | None = None, *, silent: bool = False, reset: bool = False
    ) -> None:
        """End it, with a DISCONNECT if there is a code; `silent` leaves TLS's goodbye out, `reset` is an RST."""
        if self.state is State.OVER:
            return
        self.state, self.ended = State.OVER, reason
        for running in (self._silence, self._resuming, self._opening):
            if running is not None:
                running.cancel()
        self._to_broker()
        if code is not None:
            self.write(mqtt5.DisconnectPacket(reason_code=code).write())
        if reset:
            self.abort(reset=True)
        else:
            self.close(silent=silent)
        self._broker.leave()
        self._settle()

    def drop(self) -> None:
        """Be gone at once on both sides."""
        self.end(Reason.SERVER_INITIATED_DISCONNECT, silent=True)
        self.abort()
        self._broker.abort()

    def _settle(self) -> None:
        """Tell what is over: the conversation, when mosquitto has all of it; then the whole."""
        if self._broker.is_open or self.state is not State.OVER:
            return
        if self._entered:
            self._entered = False
            self._house.left(self)
        if self._lost:
            self._house.gone(self)

    # From TLS. ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._house.made(self)

    def received(self, data: bytes) -> None:
        now = self._heard_at = self._loop.time()
        self._unread += data
        try:
            self._read(now)
            self._meter(now, len(data))
        except Exception as error:
            self._fail(error)

    def lost(self) -> None:
        self._lost = True
        self.end(Reason.CONNECTION_LOST)
        self._settle()

    def full(self, is_full: bool) -> None:
        self._broker.pause(is_full)

    def _read(self, now: float) -> None:
        data = self._unread
        view, at = memoryview(data), 0
        while self.state is State.UP or self.state is State.FRESH:
            try:
                packet, size = mqtt5.read(view[at:])
            except IndexError:
                break
            except ValueError:
                self.end(Reason.CLIENT_ERROR, _Code.MALFORMED_PACKET if self._entered else None)
                break
            end = at + size
            self._take(packet, view[at:end], now)
            at = end
        self._unread = data[at:]
        self._to_broker()

    def _take(self, packet: mqtt5.Packet, raw: memoryview, now: float) -> None:
        """Deal with one packet of the device."""
        if self.state is State.FRESH:
            if isinstance(packet, mqtt5.ConnectPacket):
                self._connect(packet)
            else:
                self.end(Reason.CLIENT_ERROR)
        elif isinstance(packet, mqtt5.PublishPacket):
            self._publish(packet, raw, now)
        elif isinstance(packet, mqtt5.SubscribePacket):
            self._note("Subscribe", " ".join(wanted.pattern for wanted in packet.topic_filters))
            if (effect := self.judge.subscribe(packet)) is None:
                self._out.append(packets.at_most_qos_1(packet) or raw)
            else:
                self._suffer(effect, None)
        elif isinstance(packet, mqtt5.DisconnectPacket):
            self._disconnect(packet, raw)
        elif isinstance(packet, mqtt5.PubAckPacket | mqtt5.UnsubscribePacket | mqtt5.PingReqPacket):
            self._note(type(packet).__name__.removesuffix("Packet"))
            self._out.append(raw)
        else:
            self.end(Reason.CLIENT_ERROR, _Code.PROTOCOL_ERROR)

    def _note(self, kind: str, topic: str = "") -> None:
        self.packets[kind] += 1
        if len(self.log) < LOGGED:
            self.log.append(Seen(kind, topic))

    # Packets of the device. --------------------------------------------------------------------------------

    def _connect(self, packet: mqtt5.ConnectPacket) -> None:
        self.greeted()
        self.connect = packet
        thing = thing_of(self._certificate())
        self.judge = Judge(self._house.terms, Client(packet.client_id, thing))
        code = self._house.admit(self)
        if code != mqtt5.ConnAckReasonCode.SUCCESS:
            self.write(packets.refusal(code))
            self.end(Reason.AUTH_ERROR)
            return
        if will := packet.will:
            self.will = Will(packet.client_id, will.topic, will.payload or b"", int(will.qos))
        self.state = State.OPENING
        self._opening = asyncio.create_task(self._open(packet), name=f"front opens {packet.client_id}")

    async def _open(self, packet: mqtt5.ConnectPacket) -> None:
        try:
            await self._broker.open(self._house.plain_port)
        except OSError:
            self.end(Reason.SERVER_ERROR)
            return
        self._broker.write(packets.for_broker(packet))

    def _publish(self, packet: mqtt5.PublishPacket, raw: bytes | memoryview, now: float) -> None:
        if packet.topic_alias is not None:
            if not self._resolve(packet):
                self.end(Reason.CLIENT_ERROR, _Code.TOPIC_ALIAS_INVALID)
                return
            packet = packets.without_alias(packet, self._aliases[packet.topic_alias])
            raw = packet.write()
        self._note("Publish", packet.topic)
        effect = self.judge.publish(packet, now)
        if effect is None or isinstance(effect, Withhold):
            self._out.append(raw)
            if packet.packet_id is not None:
                self.usage.wait_for_puback()
                if effect:
                    self._withheld.add(packet.packet_id)
        else:
            self._suffer(effect, packet.packet_id)

    def _resolve(self, packet: mqtt5.PublishPacket) -> bool:
        alias = packet.topic_alias or 0
        if packet.topic and 0 < alias <= packets.TOPIC_ALIASES:
            self._aliases[alias] = packet.topic
        return alias in self._aliases

    def _suffer(self, effect: Effect, packet_id: int | None) -> None:
        """Let happen to the connection what was decided on a packet that is not passed on."""
        if isinstance(effect, Puback) and packet_id is not None:
            self.write(mqtt5.PubAckPacket(packet_id, reason_code=effect.code).write())
        elif isinstance(effect, Disconnect):
            self.end(effect.reason, effect.code)
        elif isinstance(effect, Cut):
            self.end(effect.reason, silent=True, reset=effect.reset)

    def _disconnect(self, packet: mqtt5.DisconnectPacket, raw: memoryview) -> None:
        self._note("Disconnect")
        if packet.reason_code != _Code.DISCONNECT_WITH_WILL_MESSAGE:
            self.will = None  # MQTT 5, 3.14.4
        self._to_broker()
        self._broker.leave(bytes(raw))
        self.end(Reason.CLIENT_INITIATED_DISCONNECT)

    def _to_broker(self) -> None:
        if self._out:
            self._broker.write(b"".join(self._out))
            self._out.clear()

    # From mosquitto. ---------------------------------------------------------------------------------------

    def from_broker(self, data: bytes) -> None:
        """Pass on what the device may receive."""
        try:
            self._read_back(self._unread_back + data)
            self._meter(self._loop.time(), len(data))
        except Exception as error:
            self._fail(error)

    def broker_left(self) -> None:
        """mosquitto has closed."""
        self.end(Reason.SERVER_ERROR)
        self._settle()

    def _read_back(self, data: bytes) -> None:
        view, at, out = memoryview(data), 0, list[memoryview]()
        now = self._loop.time()
        while self.state is not State.OVER:
            try:
                packet, size = mqtt5.read(view[at:])
            except IndexError:
                break
            if self._returns(packet, now):
                out.append(view[at : at + size])
            at += size
        self._unread_back = data[at:]
        if out:
            self.write(b"".join(out))

    def _returns(self, packet: mqtt5.Packet, now: float) -> bool:
        """Tell whether the device gets a packet of mosquitto's."""
        if isinstance(packet, mqtt5.PubAckPacket):
            if packet.packet_id in self._withheld:  # and it still counts as unacknowledged
                self._withheld.remove(packet.packet_id)
                return False
            self.usage.unacknowledged -= 1
        elif isinstance(packet, mqtt5.PublishPacket):
            if not self.judge.delivers(packet, now):
                if packet.packet_id is not None:
                    self._broker.write(mqtt5.PubAckPacket(packet.packet_id).write())
                return False
        elif isinstance(packet, mqtt5.ConnAckPacket):
            self._enter(packet, now)
            return False
        elif isinstance(packet, mqtt5.DisconnectPacket):
            self.end(Reason.SERVER_ERROR, packet.reason_code)
            return False
        return True

    def _enter(self, packet: mqtt5.ConnAckPacket, now: float) -> None:
        self.write(packets.welcome(self.connect, session_present=packet.session_present))
        self.state = State.UP
        self._entered = True
        self._heard_at = now
        self.watch_silence()
        self._house.entered(self)
        self._read(now)

    # Time. -------------------------------------------------------------------------------------------------

    def watch_silence(self) -> None:
        """End it when the device was silent for too long (MQTT 5, 3.1.2.10), or look again when that may be."""
        if self.state is not State.UP:
            return
        if self._silence is not None:
            self._silence.cancel()
        allowed_s = packets.keep_alive_s(self.connect.keep_alive) * self._house.terms.keep_alive_factor
        if self._loop.time() >= self._heard_at + allowed_s:
            self.end(Reason.MQTT_KEEP_ALIVE_TIMEOUT, _Code.KEEP_ALIVE_TIMEOUT)
        else:
            self._silence = self._loop.call_at(self._heard_at + allowed_s, self.watch_silence)

    def _meter(self, now: float, size: int) -> None:
        """Count bytes, and let both sides wait if they were too many."""
        if self.state is not State.UP:
            return
        self.usage.bytes.add(now, size)
        rate = self._house.terms.rate
        if rate is None:
            return
        if self._bucket is None or self._bucket.rate != rate:
            self._bucket = Bucket(rate, now)
        if (wait_s := self._bucket.spend(now, size)) and self._resuming is None:
            self._hold(True)
            self._resuming = self._loop.call_later(wait_s, self._hold, False)

    def _hold(self, held: bool) -> None:
        if not held:
            self._resuming = None
        self.pause(held)
        self._broker.pause(held)

    # Ourselves. --------------------------------------------------------------------------------------------

    def principal(self) -> str:
        """Return the certificate's id as AWS makes it: SHA-256 over its DER."""
        return hashlib.sha256(self._certificate()).hexdigest()

    def _certificate(self) -> bytes:
        der = self.tls.getpeercert(binary_form=True)
        assert der is not None, "the handshake requires one"
        return der

    def _fail(self, error: Exception) -> None:
        self._house.broken(error)
        self.end(Reason.SERVER_ERROR, silent=True)
