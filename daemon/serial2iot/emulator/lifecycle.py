"""Lifecycle events, as AWS IoT Core publishes them when a client comes and goes. Pure.

IoT developer guide, "Lifecycle events" (https://docs.aws.amazon.com/iot/latest/developerguide/life-cycle-events.html):

1. `$aws/events/presence/connected/<client id>` and `.../disconnected/<client id>`; a client id with `+` or `#`
   gets none.
2. `versionNumber` is the same in both events of one connection, and greater for the client id's next one.
3. The will is sent after every end except the one that the client announced.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from enum import Enum


class Reason(Enum):
    """Why a connection ended, in AWS's words."""

    AUTH_ERROR = "AUTH_ERROR"  # the policy
    CLIENT_INITIATED_DISCONNECT = "CLIENT_INITIATED_DISCONNECT"
    CLIENT_ERROR = "CLIENT_ERROR"  # it sent what it must not
    CONNECTION_LOST = "CONNECTION_LOST"
    DUPLICATE_CLIENTID = "DUPLICATE_CLIENTID"
    MQTT_KEEP_ALIVE_TIMEOUT = "MQTT_KEEP_ALIVE_TIMEOUT"
    SERVER_ERROR = "SERVER_ERROR"
    SERVER_INITIATED_DISCONNECT = "SERVER_INITIATED_DISCONNECT"


@dataclass(frozen=True, slots=True)
class Presence:
    """One connection of a client, as its two events tell it."""

    client_id: str
    session: str
    principal: str  # the certificate's id: SHA-256 of its DER, in hex
    version: int

    def connected(self, now: float, address: str) -> tuple[str, bytes] | None:
        """Topic and payload of the first event; `now` is wall clock, in seconds."""
        return self._event("connected", now, ipAddress=address)

    def disconnected(self, now: float, reason: Reason) -> tuple[str, bytes] | None:
        """Topic and payload of the second."""
        by_client = reason is Reason.CLIENT_INITIATED_DISCONNECT
        return self._event(
            "disconnected", now, clientInitiatedDisconnect=by_client, disconnectReason=reason.value
        )

    def _event(self, kind: str, now: float, **more: object) -> tuple[str, bytes] | None:
        if "+" in self.client_id or "#" in self.client_id:
            return None
        event = {
            "clientId": self.client_id,
            "timestamp": int(now * 1000),
            "eventType": kind,
            "sessionIdentifier": self.session,
            "principalIdentifier": self.principal,
            **more,
            "versionNumber": self.version,
        }
        return f"$aws/events/presence/{kind}/{self.client_id}", json.dumps(event).encode()


class Versions:
    """Numbers each client id's connections."""

    def __init__(self) -> None:
        self._next: Counter[str] = Counter()

    def take(self, client_id: str) -> int:
        """Return the next number, from 0."""
        number = self._next[client_id]
        self._next[client_id] += 1
        return number
