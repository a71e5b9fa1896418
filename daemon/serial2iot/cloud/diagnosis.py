"""Why there is no connection, in words a person can act on.

awscrt says `AWS_ERROR_MQTT_UNEXPECTED_HANGUP`; a person at the Pi needs to know which file, setting or policy
statement to look at. The reasons were each provoked against a real broker, and the policy causes are those
that AWS lists under "Diagnosing connectivity issues" in the AWS IoT Core developer guide.
"""

from __future__ import annotations

from typing import NamedTuple

from serial2iot.cloud.delivery import INVALID_CODES

TAKEN_OVER = 0x8E
"""DISCONNECT reason code "session taken over" (MQTT 5, 3.14.2.1): another client has this client id."""

# The errors with which awscrt reports that the other side ended the connection without saying why.
HANG_UPS = frozenset({"AWS_ERROR_MQTT_UNEXPECTED_HANGUP", "AWS_IO_SOCKET_CLOSED", "AWS_IO_TLS_CLOSED"})


class LinkLoss(NamedTuple):
    """Why the link is down: `reason` for the log, `hint` for the person, the raw `error` for a search."""

    reason: str
    hint: str
    error: str  # awscrt's name of it, or the reason code
    reason_code: int | None = None  # of the server's DISCONNECT or CONNACK, where there was one
    up_s: float = 0.0  # how long the link had been up

    @property
    def unexplained(self) -> bool:
        """Whether the broker ended it and said nothing, as AWS does for a refused publish."""
        return self.reason_code is None and self.error in HANG_UPS

    @property
    def by_message(self) -> bool:
        """Whether the server said that a message was at fault."""
        return self.reason_code in INVALID_CODES


_ERRORS = {
    "AWS_IO_DNS_INVALID_NAME": (
        "the name {endpoint} does not exist",
        "check mqtt.endpoint (aws iot describe-endpoint --endpoint-type iot:Data-ATS) and the Pi's DNS",
    ),
    "AWS_IO_DNS_QUERY_FAILED": (
        "the name {endpoint} could not be looked up",
        "check the network, the Pi's DNS and mqtt.endpoint",
    ),
    "AWS_IO_DNS_NO_ADDRESS_FOR_HOST": (
        "the name {endpoint} has no address",
        "check mqtt.endpoint and the Pi's DNS",
    ),
    "AWS_IO_SOCKET_CONNECTION_REFUSED": (
        "{endpoint} refuses connections on port {port}",
        "check mqtt.port (8883, or 443) and mqtt.endpoint",
    ),
    "AWS_IO_SOCKET_TIMEOUT": (
        "{endpoint} does not answer on port {port}",
        "a firewall may block it: try mqtt.port = 443",
    ),
    "AWS_IO_SOCKET_NO_ROUTE_TO_HOST": (
        "there is no route to {endpoint}",
        "check the network: is Wi-Fi or Ethernet up?",
    ),
    "AWS_IO_SOCKET_NETWORK_DOWN": ("the network is down", "check Wi-Fi or Ethernet"),
    "AWS_IO_TLS_ERROR_NEGOTIATION_FAILURE": (
        "the TLS handshake with {endpoint} failed",
        "check that mqtt.root_ca is the CA of this endpoint, that mqtt.endpoint is spelled as in its"
        " certificate, and that the Pi's clock is right",
    ),
    "AWS_IO_TLS_ERROR_READ_FAILURE": (
        "{endpoint} refused the device certificate",
        "check that mqtt.certificate is registered, attached and ACTIVE in this account and region",
    ),
    "AWS_IO_TLS_NEGOTIATION_TIMEOUT": (
        "the TLS handshake with {endpoint} took too long",
        "the network is slow or something on the way swallows TLS",
    ),
    "AWS_ERROR_MQTT5_CONNACK_TIMEOUT": (
        "{endpoint} did not answer the MQTT CONNECT",
        "is this an MQTT broker? check mqtt.endpoint and mqtt.port",
    ),
    "AWS_ERROR_MQTT5_USER_REQUESTED_STOP": ("this daemon disconnected", ""),
    "AWS_ERROR_MQTT5_PING_RESPONSE_TIMEOUT": (
        "the network went silent: no answer to a ping",
        "it reconnects by itself; check Wi-Fi if this is frequent",
    ),
}

_CODES = {
    0x87: (
        "not authorised as client {client_id}",
        "the certificate's policy needs iot:Connect on client/{client_id}",
    ),
    0x85: ("the client id {client_id} is not valid", "change mqtt.client_id"),
    TAKEN_OVER: (
        "another client connected as {client_id}",
        "two programs use one client id: stop the other one, or change mqtt.client_id",
    ),
    0x97: ("quota exceeded", "fewer messages a second: telemetry.layout = 'batch'"),
    0x9F: ("connections come too fast", "it waits and tries again"),
    0x8B: ("the broker is shutting down", "it reconnects by itself"),
    0x8D: (
        "the broker saw no sign of life in time",
        "it reconnects by itself; check Wi-Fi if this is frequent",
    ),
    0x90: ("the broker calls a topic invalid", "check telemetry.topic and presence.topic"),
    0x95: ("the broker calls a message too large", "telemetry.max_bytes must stay below 128 KiB"),
    0x99: ("the broker calls a payload malformed", "please report this: a payload should always be JSON"),
}

_HANG_UP_CONNECTING = (
    "{endpoint} ended the connection instead of accepting it",
    "most often the policy: is the certificate ACTIVE, and does its policy allow iot:Connect on"
    " client/{client_id}? otherwise another program uses this client id",
)
_HANG_UP_CONNECTED = (
    "{endpoint} ended the connection without a reason",
    "AWS does that when the policy lacks iot:Publish or iot:Subscribe on a topic in use, and when another"
    " client takes client id {client_id}; a bad network looks the same",
)


def diagnose(
    error: str, reason_code: int | None, *, connected: bool, endpoint: str, port: int, client_id: str
) -> LinkLoss:
    """Say why a connection failed (`connected` False) or was lost (True)."""
    if reason_code is not None and reason_code in _CODES:
        reason, hint = _CODES[reason_code]
    elif error in HANG_UPS:
        reason, hint = _HANG_UP_CONNECTED if connected else _HANG_UP_CONNECTING
    else:
        said = f"server reason code 0x{reason_code:02X}" if reason_code is not None else error
        reason, hint = _ERRORS.get(
            error, (f"no connection to {{endpoint}}: {said}", "it tries again by itself")
        )
    names = {"endpoint": endpoint, "port": port, "client_id": client_id}
    return LinkLoss(reason.format(**names), hint.format(**names), error, reason_code)
