"""What becomes of a packet, without any connection."""

from __future__ import annotations

import mqtt5
import pytest

from serial2iot.emulator.faults import Cut, Discard, Disconnect, Faults, Puback, Withhold
from serial2iot.emulator.judge import Judge, Terms
from serial2iot.emulator.lifecycle import Reason
from serial2iot.emulator.policy import EVERYTHING, Client, Policy, parse_policy

QOS1 = mqtt5.QoS.AT_LEAST_ONCE
ONLY_A = parse_policy(
    {"Statement": {"Sid": "A", "Effect": "Allow", "Action": "iot:*", "Resource": "arn:aws:iot:::*/a"}}
)


def judge(policy: Policy = EVERYTHING, *, quotas: bool = False, faults: Faults | None = None) -> Judge:
    return Judge(Terms(policy, quotas, faults or Faults()), Client("a", "a"))


def publish(topic: str = "a", payload: bytes = b"", **more: object) -> mqtt5.PublishPacket:
    return mqtt5.PublishPacket(topic, payload, qos=more.pop("qos", QOS1), packet_id=1, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (mqtt5.ConnectPacket("a"), 0x00),
        (mqtt5.ConnectPacket("b"), 0x87),
        (mqtt5.ConnectPacket(""), 0x85),
        (mqtt5.ConnectPacket("a", will=mqtt5.Will("a")), 0x00),
        (mqtt5.ConnectPacket("a", will=mqtt5.Will("b")), 0x87),
    ],
)
def test_connect(packet: mqtt5.ConnectPacket, code: int) -> None:
    assert judge(ONLY_A).connect(packet) == code


def test_a_retained_publish_needs_a_permission_of_its_own() -> None:
    arn = "arn:aws:iot:::topic/a"
    plain = parse_policy({"Statement": {"Effect": "Allow", "Action": "iot:Publish", "Resource": arn}})
    assert judge(plain).publish(publish(), 0) is None
    assert judge(plain).publish(publish(retain=True), 0) == Cut(reason=Reason.AUTH_ERROR)
    assert judge(ONLY_A).publish(publish(retain=True), 0) is None


def test_refused_is_cut_without_a_word() -> None:
    refused = Cut(reason=Reason.AUTH_ERROR)
    assert judge(ONLY_A).publish(publish("b"), 0) == refused
    filters = [mqtt5.TopicFilter("a"), mqtt5.TopicFilter("b")]
    assert judge(ONLY_A).subscribe(mqtt5.SubscribePacket(1, filters[:1])) is None
    assert judge(ONLY_A).subscribe(mqtt5.SubscribePacket(1, filters)) == refused
    assert judge(ONLY_A).delivers(publish("a"), 0)
    assert not judge(ONLY_A).delivers(publish("b"), 0)


def test_a_new_policy_holds_from_the_next_packet_on() -> None:
    terms = Terms(EVERYTHING, quotas=False)
    one = Judge(terms, Client("a", "a"))
    assert one.publish(publish("b"), 0) is None
    terms.policy = ONLY_A
    assert one.publish(publish("b"), 0)
    terms.policy = EVERYTHING
    assert one.publish(publish("b"), 0) is None


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (publish("a/b/c/d/e/f/g/h/i"), 0x90),
        (publish("t" * 257), 0x90),
        (publish(payload=bytes(128 * 1024 + 1)), 0x95),
    ],
)
def test_too_much_of_one_thing_ends_the_connection(packet: mqtt5.PublishPacket, code: int) -> None:
    verdict = judge(quotas=True).publish(packet, 0)
    assert verdict == Disconnect(mqtt5.DisconnectReasonCode(code), Reason.CLIENT_ERROR)
    assert judge(quotas=False).publish(packet, 0) is None


def test_qos_2_is_not_supported() -> None:
    verdict = judge().publish(publish(qos=mqtt5.QoS.EXACTLY_ONCE), 0)
    assert isinstance(verdict, Disconnect)
    assert verdict.code == 0x9B


def test_in_and_out_share_the_publishes_of_a_second() -> None:
    one = judge(quotas=True)
    assert all(one.delivers(publish(), n / 100) for n in range(60))
    verdicts = [one.publish(publish(), 0.6) for _ in range(60)]
    assert verdicts == [None] * 40 + [Discard()] * 20
    assert not one.delivers(publish(), 0.7)
    assert (one.usage.publishes.highest, one.usage.discarded) == (121, 21)


def test_with_a_hundred_unacknowledged_no_more_are_taken() -> None:
    one = judge(quotas=True)
    for n in range(100):
        assert one.publish(publish(), float(n)) is None
        one.usage.wait_for_puback()
    assert one.publish(publish(), 200.0) == Discard()
    one.usage.unacknowledged -= 1
    assert one.publish(publish(), 201.0) is None


def test_faults_strike_what_they_are_for_as_often_as_they_should() -> None:
    faults = Faults()
    quota = faults.puback("a/+", 0x97, times=2)
    poison = faults.cut(lambda packet: b"poison" in packet.payload, reset=True)
    faults.withhold("a/b")
    one = judge(faults=faults)
    assert one.publish(publish("x"), 0) is None
    verdicts = [one.publish(publish("a/b"), 0) for _ in range(3)]
    assert verdicts == [Puback(mqtt5.PubAckReasonCode(0x97))] * 2 + [Withhold()]
    assert one.publish(publish("x", b"some poison"), 0) == Cut(reset=True)
    assert (quota.hits, poison.hits) == (2, 1)
    faults.remove(poison)
    assert one.publish(publish("x", b"some poison"), 0) is None
    faults.clear()
    assert not faults
    with pytest.raises(ValueError, match="142"):
        faults.puback("a", 0x8E)


def test_a_fault_comes_after_the_policy() -> None:
    faults = Faults()
    fault = faults.puback("#", 0x80)
    assert judge(ONLY_A, faults=faults).publish(publish("b"), 0) == Cut(reason=Reason.AUTH_ERROR)
    assert fault.hits == 0


def test_the_smaller_of_two_rates_holds() -> None:
    assert Terms(EVERYTHING, quotas=False).rate is None
    assert Terms(EVERYTHING, quotas=True).rate == 512 * 1024
    assert Terms(EVERYTHING, quotas=True, bytes_per_s=100).rate == 100
    assert Terms(EVERYTHING, quotas=False, bytes_per_s=100).rate == 100
