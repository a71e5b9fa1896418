"""The packets that the front writes itself, as AWS IoT Core writes them. Pure.

IoT developer guide, "MQTT", "MQTT 5 supported features" and "MQTT 5 properties": QoS 2 and subscription identifiers
are not supported; topic aliases are, eight of them for each direction; the server tells its keep-alive.
"""

from __future__ import annotations

import mqtt5

from serial2iot.emulator.quotas import UNACKNOWLEDGED

KEEP_ALIVE_S = (30, 1200)
"""Other wishes become the nearest of these (General Reference, "AWS IoT Core endpoints and quotas", keep-alive)."""

LARGEST_PACKET = 149504  # as AWS's CONNACK says: a payload of 128 KiB, and room for the rest
TOPIC_ALIASES = 8
GOODBYE = mqtt5.DisconnectPacket().write()


def keep_alive_s(wanted: int) -> int:
    """Return the keep-alive that AWS grants; none wanted is the longest."""
    least, most = KEEP_ALIVE_S
    return min(max(wanted or most, least), most)


def refusal(code: mqtt5.ConnAckReasonCode) -> bytes:
    """Return the CONNACK that lets nobody in."""
    return mqtt5.ConnAckPacket(reason_code=code).write()


def welcome(connect: mqtt5.ConnectPacket, *, session_present: bool) -> bytes:
    """Return the CONNACK that lets a client in."""
    return mqtt5.ConnAckPacket(
        session_present=session_present,
        session_expiry_interval=connect.session_expiry_interval,
        server_keep_alive=keep_alive_s(connect.keep_alive),
        receive_max=UNACKNOWLEDGED,
        topic_alias_max=TOPIC_ALIASES,
        max_qos=mqtt5.QoS.AT_LEAST_ONCE,
        max_packet_size=LARGEST_PACKET,
        subscription_id_available=False,
    ).write()


def for_broker(connect: mqtt5.ConnectPacket) -> bytes:
    """Return the CONNECT for the broker behind: no will and no keep-alive, which are the front's."""
    return mqtt5.ConnectPacket(
        connect.client_id,
        clean_start=connect.clean_start,
        session_expiry_interval=connect.session_expiry_interval,
        receive_max=connect.receive_max,
        max_packet_size=connect.max_packet_size,
    ).write()


def at_most_qos_1(subscribe: mqtt5.SubscribePacket) -> bytes | None:
    """Return the SUBSCRIBE as AWS grants it, None if that is as it is."""
    if all(wanted.max_qos != mqtt5.QoS.EXACTLY_ONCE for wanted in subscribe.topic_filters):
        return None
    granted = [
        mqtt5.TopicFilter(
            wanted.pattern,
            max_qos=mqtt5.QoS.AT_LEAST_ONCE if wanted.max_qos == mqtt5.QoS.EXACTLY_ONCE else wanted.max_qos,
            no_local=wanted.no_local,
            retain_as_published=wanted.retain_as_published,
            retain_handling=wanted.retain_handling,
        )
        for wanted in subscribe.topic_filters
    ]
    return mqtt5.SubscribePacket(subscribe.packet_id, granted).write()


def without_alias(publish: mqtt5.PublishPacket, topic: str) -> mqtt5.PublishPacket:
    """Return the PUBLISH with its topic in the place of its alias."""
    return mqtt5.PublishPacket(
        topic,
        publish.payload,
        qos=publish.qos,
        retain=publish.retain,
        packet_id=publish.packet_id,
        duplicate=publish.duplicate,
        payload_format_indicator=publish.payload_format_indicator,
        message_expiry_interval=publish.message_expiry_interval,
        content_type=publish.content_type,
        response_topic=publish.response_topic,
        correlation_data=publish.correlation_data,
        user_properties=publish.user_properties,
    )
