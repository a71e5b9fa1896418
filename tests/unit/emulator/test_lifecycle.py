"""Lifecycle events as the IoT developer guide shows them (life-cycle-events.html)."""

from __future__ import annotations

import json

from serial2iot.emulator.lifecycle import Presence, Reason, Versions


def test_the_two_events_of_a_connection() -> None:
    presence = Presence("RPI", "a4666d2a", "12345678", 3)
    topic, payload = presence.connected(1573002230.757, "192.0.2.0") or ("", b"")
    assert topic == "$aws/events/presence/connected/RPI"
    assert json.loads(payload) == {
        "clientId": "RPI",
        "timestamp": 1573002230757,
        "eventType": "connected",
        "sessionIdentifier": "a4666d2a",
        "principalIdentifier": "12345678",
        "ipAddress": "192.0.2.0",
        "versionNumber": 3,
    }
    topic, payload = presence.disconnected(1573002340.451, Reason.CLIENT_INITIATED_DISCONNECT) or ("", b"")
    assert topic == "$aws/events/presence/disconnected/RPI"
    assert json.loads(payload) == {
        "clientId": "RPI",
        "timestamp": 1573002340451,
        "eventType": "disconnected",
        "sessionIdentifier": "a4666d2a",
        "principalIdentifier": "12345678",
        "clientInitiatedDisconnect": True,
        "disconnectReason": "CLIENT_INITIATED_DISCONNECT",
        "versionNumber": 3,
    }


def test_a_client_id_that_would_be_a_filter_gets_none() -> None:
    assert Presence("a+b", "", "", 0).connected(0, "") is None
    assert Presence("a#", "", "", 0).disconnected(0, Reason.CONNECTION_LOST) is None


def test_versions_grow_for_each_client_id_alone() -> None:
    versions = Versions()
    assert [versions.take(name) for name in ("a", "a", "b", "a")] == [0, 1, 0, 2]
