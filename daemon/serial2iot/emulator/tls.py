"""TLS on the server's side of one connection, over an asyncio transport.

asyncio's own TLS closes a refused handshake without sending its alert, and can neither reset a connection nor
leave without waiting for the peer. A device must see what AWS's endpoint would show it, so this layer says when
what is sent.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from contextlib import suppress

from serial2iot.emulator.pki import Credentials

ALPN = "x-amzn-mqtt-ca"
"""What tells MQTT with certificates from HTTP on port 443 (IoT developer guide, "Device communication protocols")."""

GREET_WITHIN_S = 10.0  # from TCP to `greeted`
CLOSE_WITHIN_S = 1.0  # for a peer that does not read what is still to be sent
_READ = 1 << 16
_RESET = struct.pack("ii", 1, 0)  # struct linger: on, for no time


def server_context(server: Credentials) -> ssl.SSLContext:
    """TLS 1.2 and 1.3; a client needs a certificate of our authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(server.root_ca)
    context.load_cert_chain(server.certificate, server.private_key)
    context.set_alpn_protocols([ALPN])
    return context


class TlsServer(asyncio.Protocol):
    """One connection. A subclass is told in `received`, `full` and `lost`, and tells when it was `greeted`."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._secure = False
        self._closing = False
        self._paused = False
        self.address = ""  # of the peer
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    # For the subclass. -------------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Plain bytes came, from a peer that has shown its certificate."""

    def lost(self) -> None:
        """The connection is gone. Called once for each connection, handshake or not."""

    def full(self, is_full: bool) -> None:
        """The peer reads slower than we write, or has caught up."""

    def greeted(self) -> None:
        """The peer said who it is, and may now be silent."""
        if self._timer is not None:
            self._timer.cancel()

    def write(self, data: bytes) -> None:
        """Send plain bytes."""
        if self._transport is not None and not self._closing:
            self.tls.write(data)
            self._flush()

    def pause(self, paused: bool) -> None:
        """Stop to read, or go on."""
        if self._transport is None or self._closing:
            return
        self._paused = paused
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
            asyncio.get_running_loop().call_soon(self.data_received, b"")  # what came before the pause

    def close(self, *, silent: bool = False) -> None:
        """End what we send, with TLS's goodbye unless `silent`, and drop what still comes.

        To close at once would make a reset of bytes on their way to us, and the peer would not read our last.
        """
        if self._transport is None or self._closing:
            return
        self._closing = True
        if self._secure and not silent:
            with suppress(ssl.SSLError):  # it would wait for the peer's goodbye
                self.tls.unwrap()
            self._flush()
        self._transport.resume_reading()
        with suppress(OSError):  # the peer was faster
            self._transport.write_eof()
        self._limit(CLOSE_WITHIN_S)

    def abort(self, *, reset: bool = False) -> None:
        """Be gone, with what was not yet sent; `reset` makes it an RST."""
        if self._transport is None:
            return
        if reset:
            connection = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    # For asyncio. ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.address = transport.get_extra_info("peername")[0]
        self._limit(GREET_WITHIN_S)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        self.lost()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        self._incoming.write(data)
        try:
            if not self._secure:
                self._shake_hands()
            self._decrypt()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError:  # the alert is in what goes out
            self._flush()
            self.close(silent=True)

    def pause_writing(self) -> None:
        self.full(True)

    def resume_writing(self) -> None:
        self.full(False)

    def _shake_hands(self) -> None:
        self.tls.do_handshake()
        self._secure = True
        self._flush()

    def _decrypt(self) -> None:
        while not self._closing and not self._paused:
            data = self.tls.read(_READ)
            if not data:  # the peer said goodbye
                if self._transport is not None:
                    self._transport.close()
                return
            self.received(data)

    def _flush(self) -> None:
        if self._outgoing.pending and self._transport is not None:
            self._transport.write(self._outgoing.read())

    def _limit(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.abort)
