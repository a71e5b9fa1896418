"""What becomes of a packet: policy, quotas, and what a test lets go wrong, in this order. Pure: time is an argument.

Where AWS's documents leave the answer open, this is what we chose:

- a will that the client may not publish: CONNACK 0x87;
- a second CONNECT within a second (`quotas`): CONNACK 0x97;
- more than 100 unacknowledged publishes (`quotas`): the excess is discarded.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import mqtt5

from serial2iot.emulator import quotas
from serial2iot.emulator.faults import Cut, Discard, Disconnect, Effect, Faults
from serial2iot.emulator.lifecycle import Reason
from serial2iot.emulator.policy import Client, Permissions, Policy

_Code = mqtt5.DisconnectReasonCode
_REFUSED = Cut(reason=Reason.AUTH_ERROR)


def _client_error(code: mqtt5.DisconnectReasonCode) -> Disconnect:
    return Disconnect(code, Reason.CLIENT_ERROR)


@dataclass(slots=True)
class Terms:
    """What holds for every connection. A test may change it at any moment."""

    policy: Policy
    quotas: bool
    faults: Faults = field(default_factory=Faults)
    keep_alive_factor: float = 1.5  # seconds of silence allowed for each of keep-alive
    bytes_per_s: float | None = None

    @property
    def rate(self) -> float | None:
        """Bytes that a connection may carry in a second."""
        if not self.quotas:
            return self.bytes_per_s
        return min(self.bytes_per_s or quotas.BYTES_PER_S, quotas.BYTES_PER_S)


class Judge:
    """Decides for one connection, and counts what it used."""

    def __init__(self, terms: Terms, client: Client) -> None:
        self.usage = quotas.Usage()
        self._terms = terms
        self._client = client
        self._permissions = terms.policy.for_client(client)

    def may(self, action: str, resource: str) -> bool:
        """Tell whether the policy of this moment allows it."""
        return self._of_now().allow(action, resource)

    def connect(self, packet: mqtt5.ConnectPacket) -> mqtt5.ConnAckReasonCode:
        """Return what a CONNECT is answered with."""
        if not packet.client_id:
            return mqtt5.ConnAckReasonCode.CLIENT_ID_NOT_VALID
        will = packet.will
        allowed = self.may("iot:Connect", f"client/{packet.client_id}")
        if not allowed or (will and not self._may_publish(will.topic, retain=will.retain)):
            return mqtt5.ConnAckReasonCode.NOT_AUTHORIZED
        return mqtt5.ConnAckReasonCode.SUCCESS

    def publish(self, packet: mqtt5.PublishPacket, now: float) -> Effect | None:
        """Return what happens to a PUBLISH of the device, None for nothing. Its alias is resolved already."""
        usage, terms = self.usage, self._terms
        usage.publish(now)
        if packet.qos == mqtt5.QoS.EXACTLY_ONCE:
            return _client_error(_Code.QOS_NOT_SUPPORTED)
        if terms.quotas and (invalid := _too_much(packet)):
            return invalid
        if not self._may_publish(packet.topic, retain=packet.retain):
            return _REFUSED
        if terms.quotas and usage.unacknowledged >= quotas.UNACKNOWLEDGED:
            usage.discarded += 1
            return Discard()
        if terms.quotas and not usage.accept(now):
            return Discard()
        return terms.faults.effect_on(packet) if terms.faults else None

    def subscribe(self, packet: mqtt5.SubscribePacket) -> Effect | None:
        """Return what happens to a SUBSCRIBE, None for nothing."""
        patterns = [wanted.pattern for wanted in packet.topic_filters]
        if self._terms.quotas and any(map(quotas.topic_too_long, patterns)):
            return _client_error(_Code.TOPIC_FILTER_INVALID)
        if not all(self.may("iot:Subscribe", f"topicfilter/{pattern}") for pattern in patterns):
            return _REFUSED
        return None

    def delivers(self, packet: mqtt5.PublishPacket, now: float) -> bool:
        """Tell whether the device gets a message."""
        if not self.may("iot:Receive", f"topic/{packet.topic}"):
            return False
        self.usage.publish(now)
        return not self._terms.quotas or self.usage.accept(now)

    def _may_publish(self, topic: str, *, retain: bool) -> bool:
        resource = f"topic/{topic}"
        return self.may("iot:Publish", resource) and (not retain or self.may("iot:RetainPublish", resource))

    def _of_now(self) -> Permissions:
        if self._permissions.policy is not self._terms.policy:
            self._permissions = self._terms.policy.for_client(self._client)
        return self._permissions


def _too_much(packet: mqtt5.PublishPacket) -> Effect | None:
    if quotas.topic_too_long(packet.topic):
        return _client_error(_Code.TOPIC_NAME_INVALID)
    if len(packet.payload) > quotas.PAYLOAD_BYTES:
        return _client_error(_Code.PACKET_TOO_LARGE)
    return None
