"""The front: where devices connect. MQTT 5 over mutual TLS, as AWS IoT Core speaks it, before mosquitto.

    cloud.front.policy = cloud.front.policy.without("ListenToTheOwnShadow")
    cloud.front.faults.puback("my/things/+/telemetry", 0x97, times=3)
    cloud.front.wills.hold()
    cloud.front.connections[-1].publishes

Rules:

1. One client id, one connection: a new one takes over, and the old one's will comes due.
2. It follows the broker: while mosquitto is down nobody can connect, and with mosquitto every connection ends. Their
   wills are published when it is back.
3. A mistake in here is not hidden: it ends the connection, and `stop` raises it.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from typing import Literal, TypeAlias

import mqtt5

from serial2iot.emulator import quotas
from serial2iot.emulator.connection import Connection, State
from serial2iot.emulator.faults import Faults
from serial2iot.emulator.judge import Terms
from serial2iot.emulator.lifecycle import Presence, Reason, Versions
from serial2iot.emulator.link import Link
from serial2iot.emulator.mosquitto import CHOICES_OF_PORTS, port_taken
from serial2iot.emulator.pki import Credentials
from serial2iot.emulator.policy import Policy
from serial2iot.emulator.ports import free_port, loopback_addresses
from serial2iot.emulator.tls import server_context
from serial2iot.emulator.wills import Will, Wills

Quotas: TypeAlias = Literal["none", "aws"]
Takeover: TypeAlias = Literal["disconnect", "hang-up"]

REMEMBERED = 1000

_Ack = mqtt5.ConnAckReasonCode


class Front:
    """Devices' side of the cloud, on loopback. `port` 0 is a free one, known once it is up.

    `takeover` says how a connection ends that another one with its client id replaces: AWS sends DISCONNECT 0x8E,
    or just hangs up.
    """

    def __init__(
        self, server: Credentials, plain_port: int, policy: Policy, limits: Quotas = "none", port: int = 0
    ) -> None:
        self.port = port
        self.plain_port = plain_port
        self.terms = Terms(policy, limits == "aws")
        self.connections: deque[Connection] = deque(maxlen=REMEMBERED)  # that were admitted, in order
        self.refused: deque[tuple[str, int]] = deque(maxlen=REMEMBERED)  # client id, CONNACK's reason code
        self.takeover: Takeover = "disconnect"
        self.link = Link(plain_port, (), lambda arrival: None)
        self.wills = Wills(self._publish_will)
        self._context = server_context(server)
        self._server: asyncio.Server | None = None
        self._closed_by_choice = False
        self._listening = asyncio.Lock()
        self._open: set[Connection] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._current: dict[str, Connection] = {}  # the last of each client id
        self._connected_at: dict[str, float] = {}
        self._versions = Versions()
        self._failure: Exception | None = None
        self._failed = asyncio.Event()

    # For tests. --------------------------------------------------------------------------------------------

    @property
    def policy(self) -> Policy:
        """What everybody may do. A new one holds from the next packet on."""
        return self.terms.policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        self.terms.policy = policy

    @property
    def faults(self) -> Faults:
        """What goes wrong with chosen publishes."""
        return self.terms.faults

    def set_quotas(self, limits: Quotas) -> None:
        """Keep AWS's quotas, or none."""
        self.terms.quotas = limits == "aws"

    def throttle(self, bytes_per_s: float | None) -> None:
        """Let each connection carry so much, both ways together; None is no bound."""
        self.terms.bytes_per_s = bytes_per_s

    def set_keep_alive_factor(self, factor: float) -> None:
        """Allow so many seconds of silence for each second of keep-alive: 1.5, unless a test has no time."""
        self.terms.keep_alive_factor = factor
        for connection in self._current.copy().values():
            connection.watch_silence()

    def connection_of(self, client_id: str) -> Connection | None:
        """Return the connection of a client that is admitted now."""
        connection = self._current.get(client_id)
        return connection if connection and connection.state is not State.OVER else None

    def cut(self, *, reset: bool = False) -> None:
        """End all connections now, without a word: FIN, or RST."""
        for connection in self._open.copy():
            connection.end(Reason.SERVER_INITIATED_DISCONNECT, silent=True, reset=reset)

    def disconnect(self, code: int) -> None:
        """End all connections now, with this DISCONNECT."""
        for connection in self._current.copy().values():
            connection.end(Reason.SERVER_INITIATED_DISCONNECT, mqtt5.DisconnectReasonCode(code))

    def close_listener(self) -> None:
        """Refuse TCP connections from now on. Those that are there stay."""
        self._closed_by_choice = True
        self._stop_listening()

    async def open_listener(self) -> None:
        """Accept TCP connections again."""
        self._closed_by_choice = False
        await self.up()

    # With the broker. --------------------------------------------------------------------------------------

    async def up(self) -> None:
        """Listen. Raises PortTakenError where somebody else does."""
        async with self._listening:  # several may ask at once
            if self._server is None and not self._closed_by_choice:
                await self._listen()

    async def down(self) -> None:
        """Be as down as the broker is."""
        self._stop_listening()
        await self._drop_all()

    async def stop(self) -> None:
        """End everything. Raises what went wrong in here."""
        self._stop_listening()
        self._closed_by_choice = True
        await self._drop_all()
        self.wills.forget()
        if self._failure:
            raise self._failure

    async def failed(self) -> None:
        """Wait for a mistake of ours, and raise it."""
        await self._failed.wait()
        assert self._failure is not None
        raise self._failure

    async def _listen(self) -> None:
        loop, addresses = asyncio.get_running_loop(), loopback_addresses()
        for choices_left in reversed(range(CHOICES_OF_PORTS)):
            port = self.port or free_port()
            try:
                self._server = await loop.create_server(self._connection, addresses, port)
            except OSError as error:
                # Another process was faster. A port that was given, or that devices know, is not exchanged.
                if self.port or not choices_left:
                    raise port_taken(port) from error
            else:
                self.port = port
                return

    def _connection(self) -> Connection:
        return Connection(self._context, self)

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _drop_all(self) -> None:
        for connection in self._open.copy():
            connection.drop()
        await self._empty.wait()

    # From connections. -------------------------------------------------------------------------------------

    def made(self, connection: Connection) -> None:
        """TCP is there."""
        self._open.add(connection)
        self._empty.clear()

    def admit(self, connection: Connection) -> mqtt5.ConnAckReasonCode:
        """Let a client in, and the one out that has its name."""
        client_id, now = connection.client_id, time.monotonic()
        code = connection.judge.connect(connection.connect)
        since = now - self._connected_at.get(client_id, -quotas.CONNECT_EVERY_S)
        self._connected_at[client_id] = now
        if code == _Ack.SUCCESS and self.terms.quotas and since < quotas.CONNECT_EVERY_S:
            code = _Ack.QUOTA_EXCEEDED
        if code != _Ack.SUCCESS:
            self.refused.append((client_id, int(code)))
            return code
        if (other := self._current.get(client_id)) is not None:
            silent = self.takeover == "hang-up"
            word = None if silent else mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER
            other.end(Reason.DUPLICATE_CLIENTID, word, silent=silent)
        self._current[client_id] = connection
        self.connections.append(connection)
        version = self._versions.take(client_id)
        connection.presence = Presence(client_id, uuid.uuid4().hex, connection.principal(), version)
        return _Ack.SUCCESS

    def entered(self, connection: Connection) -> None:
        """CONNACK was sent."""
        self._tell(connection.presence.connected(time.time(), connection.address))

    def left(self, connection: Connection) -> None:
        """A connection is over: its will and its event."""
        assert connection.ended is not None
        if connection.will is not None:
            self.wills.due(connection.will)
        self._tell(connection.presence.disconnected(time.time(), connection.ended))

    def gone(self, connection: Connection) -> None:
        """Nothing is left of a connection."""
        self._open.discard(connection)
        if not self._open:
            self._empty.set()

    def broken(self, error: Exception) -> None:
        """Remember a mistake of ours."""
        self._failure = self._failure or error
        self._failed.set()

    def _tell(self, event: tuple[str, bytes] | None) -> None:
        if event is not None:
            self.link.send(*event)

    def _publish_will(self, will: Will) -> None:
        self.link.send(will.topic, will.payload, will.qos, will=True)
