"""The front, by devices that say exactly what they want: what AWS IoT Core would answer, and what it would do."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import mqtt5
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from serial2iot.emulator.cloud import Emulator, EmulatorOptions
from serial2iot.emulator.lifecycle import Reason
from serial2iot.emulator.policy import EVERYTHING
from serial2iot.errors import EmulatorError
from tests.raw_device import RawDevice

ROOT = Path(__file__).resolve().parents[2]
PRESENCE = "my/things/RPI/update"
TELEMETRY = "my/things/RPI/telemetry"
SHADOW = "$aws/things/RPI/shadow"
TRUE = b'{"state":{"reported":{"connected":true}}}'
FALSE = b'{"state":{"reported":{"connected":false}}}'
WILL = (PRESENCE, FALSE)


@pytest_asyncio.fixture
async def device(cloud: Emulator) -> AsyncIterator[RawDevice]:
    async with RawDevice(cloud) as raw:
        yield raw


async def until(condition: Callable[[], object], within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


# Connecting. -----------------------------------------------------------------------------------------------


async def test_connack_says_what_aws_says(device: RawDevice) -> None:
    connack = await device.connect(keep_alive=5, session_expiry_interval=60)
    assert connack.reason_code == 0
    assert (connack.receive_max, connack.max_qos, connack.max_packet_size) == (100, 1, 149504)
    assert (connack.topic_alias_max, connack.subscription_id_available) == (8, False)
    assert connack.server_keep_alive == 30, "AWS's least"
    assert connack.session_expiry_interval == 60
    assert connack.retain_available
    assert connack.wildcard_subscription_available


async def test_a_name_that_is_not_the_things_is_not_let_in(cloud: Emulator) -> None:
    async with RawDevice(cloud, client_id="OTHER") as device:
        assert (await device.connect()).reason_code == 0x87
        assert await device.ending() is None
    assert list(cloud.front.refused) == [("OTHER", 0x87)]
    assert not cloud.front.connections


async def test_a_will_that_the_policy_refuses_keeps_the_device_out(device: RawDevice) -> None:
    assert (await device.connect(will=("my/things/OTHER/update", FALSE))).reason_code == 0x87


async def test_an_empty_client_id_is_not_valid(cloud: Emulator) -> None:
    async with RawDevice(cloud, client_id="") as device:
        assert (await device.connect()).reason_code == 0x85


@pytest.mark.parametrize(
    "garbage",
    [b"\x00\x00\x00", b"GET / HTTP/1.1\r\n" * 9, mqtt5.PingReqPacket().write()],
    ids=["0", "http", "ping"],
)
async def test_what_is_no_connect_is_hung_up_on(device: RawDevice, garbage: bytes) -> None:
    device._writer.write(garbage)
    assert await device.ending() is None


async def test_who_says_nothing_is_hung_up_on(cloud: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serial2iot.emulator.tls.GREET_WITHIN_S", 0.1)
    async with RawDevice(cloud) as device:
        assert await device.ending() is None


async def test_a_second_connect_is_a_protocol_error(device: RawDevice) -> None:
    await device.connect()
    device.send(mqtt5.ConnectPacket("RPI"))
    assert await device.ending() == 0x82


async def test_a_packet_may_come_byte_by_byte(cloud: Emulator, device: RawDevice) -> None:
    await device.connect()
    async with cloud.watch(TELEMETRY) as watch:
        packet = mqtt5.PublishPacket(TELEMETRY, b"whole", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=7)
        for byte in packet.write():
            device._writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await device.receive(mqtt5.PubAckPacket)).packet_id == 7
        assert (await watch.next()).payload == b"whole"


async def test_packets_behind_connect_wait_for_connack(cloud: Emulator, device: RawDevice) -> None:
    async with cloud.watch(PRESENCE) as watch:
        device.send(mqtt5.ConnectPacket("RPI", clean_start=True))
        device.say(PRESENCE, TRUE)
        await device.receive(mqtt5.ConnAckPacket)
        await device.receive(mqtt5.PubAckPacket)
        assert (await watch.next()).payload == TRUE


async def test_topic_aliases(cloud: Emulator, device: RawDevice) -> None:
    await device.connect()
    async with cloud.watch(TELEMETRY) as watch:
        assert await device.publish(TELEMETRY, b"1", topic_alias=8) == 0
        assert await device.publish("", b"2", topic_alias=8) == 0
        assert [arrival.payload for arrival in await watch.take(2)] == [b"1", b"2"]
    assert cloud.front.connections[0].publishes == [TELEMETRY, TELEMETRY], "by their names"
    device.say("", b"3", topic_alias=7)
    assert await device.ending() == 0x94


async def test_alpn_is_agreed_on_where_it_is_offered(cloud: Emulator) -> None:
    async with RawDevice(cloud, alpn="x-amzn-mqtt-ca") as device:
        assert device.alpn == "x-amzn-mqtt-ca"
        assert (await device.connect()).reason_code == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root")
def test_awscrt_comes_in_on_port_443(cloud_directory: Path) -> None:
    """In a network namespace of its own, where port 443 is nobody's."""
    script = textwrap.dedent(f"""
        import asyncio, subprocess
        from pathlib import Path
        from serial2iot.cloud.options import SessionOptions
        from serial2iot.cloud.session import Session
        from serial2iot.emulator.cloud import Emulator, EmulatorOptions

        async def main():
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            async with Emulator(EmulatorOptions(Path({str(cloud_directory)!r}), port=443)) as cloud:
                up = asyncio.Event()
                files = cloud.certificate, cloud.private_key, cloud.root_ca
                options = SessionOptions("localhost", "RPI", *files, port=443)
                session = Session(options, ({PRESENCE!r}, b"{{}}"), on_up=up.set, on_down=lambda loss: None)
                session.start()
                await asyncio.wait_for(up.wait(), 10)
                print(cloud.front.connections[0].tls.selected_alpn_protocol())
                await session.stop(5)

        asyncio.run(main())
    """)
    command = ["unshare", "--net", sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "daemon")}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    if "unshare failed" in result.stderr:
        pytest.skip("no network namespaces here")
    assert result.stdout.splitlines()[-1:] == ["x-amzn-mqtt-ca"], result.stderr


# The will. -------------------------------------------------------------------------------------------------


async def test_no_will_after_disconnect(cloud: Emulator, device: RawDevice) -> None:
    async with cloud.watch(PRESENCE) as watch:
        await device.connect(will=WILL)
        device.send(mqtt5.DisconnectPacket())
        await device.ending()
        await until(lambda: not cloud.front.connection_of("RPI"))
        await cloud.publish(PRESENCE, TRUE)
        assert (await watch.next()).payload == TRUE
    assert not cloud.front.wills.published


async def test_a_will_after_disconnect_with_will(cloud: Emulator, device: RawDevice) -> None:
    await device.connect(will=WILL)
    device.send(mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.DISCONNECT_WITH_WILL_MESSAGE))
    await cloud.until_reported(connected=False)


async def test_a_will_when_the_device_vanishes_and_never_before_what_it_said(cloud: Emulator) -> None:
    """The birth is on its way when the device dies: it must not arrive after the will."""
    async with cloud.watch(PRESENCE) as watch:
        for number in range(20):
            async with RawDevice(cloud) as device:
                await device.connect(will=WILL)
                device.say(PRESENCE, TRUE)
                await device._writer.drain()
                await until(lambda: cloud.front.connections[-1].publishes)
            await until(lambda: len(cloud.front.wills.published) > number)  # noqa: B023
        said = [arrival.payload for arrival in await watch.take(40)]
    assert said == [TRUE, FALSE] * 20
    assert cloud.front.connections[0].ended is Reason.CONNECTION_LOST


async def test_a_will_when_keep_alive_times_out(cloud: Emulator, device: RawDevice) -> None:
    cloud.front.set_keep_alive_factor(0.01)
    await device.connect(will=WILL, keep_alive=30)
    began = time.monotonic()
    assert await device.ending() == 0x8D
    assert time.monotonic() - began > 0.25
    await cloud.until_reported(connected=False)
    assert cloud.front.connections[0].ended is Reason.MQTT_KEEP_ALIVE_TIMEOUT


async def test_who_pings_is_not_timed_out_and_a_smaller_factor_holds_at_once(
    cloud: Emulator, device: RawDevice
) -> None:
    await device.connect(keep_alive=30)
    cloud.front.set_keep_alive_factor(0.01)
    for _ in range(8):
        await asyncio.sleep(0.05)
        device.send(mqtt5.PingReqPacket())
        await device.receive(mqtt5.PingRespPacket)
    assert cloud.front.connection_of("RPI")
    assert await device.ending() == 0x8D


async def test_a_will_is_held_until_it_is_released(cloud: Emulator, device: RawDevice) -> None:
    cloud.front.wills.hold()
    await device.connect(will=WILL)
    device.vanish()
    await until(lambda: cloud.front.wills.pending)
    async with RawDevice(cloud) as again:
        await again.connect()
        await again.publish(PRESENCE, TRUE)
        await cloud.until_reported(connected=True)
        cloud.front.wills.release()
        await cloud.until_reported(connected=False)  # the old will after the new birth
        assert cloud.front.connection_of("RPI")


async def test_a_will_is_delayed(cloud: Emulator, device: RawDevice) -> None:
    cloud.front.wills.delay(0.2, 0.3)
    await device.connect(will=WILL)
    began = time.monotonic()
    device.vanish()
    await cloud.until_reported(connected=False)
    assert time.monotonic() - began >= 0.2


async def test_a_will_on_a_reserved_topic_never_reaches_the_shadow(
    cloud: Emulator, device: RawDevice
) -> None:
    cloud.front.policy = EVERYTHING
    topic = f"{SHADOW}/update"
    async with cloud.watch(topic) as watch:
        await device.connect(will=(topic, FALSE))
        device.vanish()
        assert (await watch.next()).payload == FALSE, "subscribers see it"
        await cloud.publish(topic, b'{"state":{"reported":{"n":1}}}')
        await cloud.until_reported(n=1)
    assert cloud.reported() == {"n": 1}


async def test_the_wills_of_those_who_went_with_the_broker_come_when_it_is_back(
    cloud: Emulator, device: RawDevice
) -> None:
    await device.connect(will=WILL)
    await cloud.broker.kill()
    assert await device.ending() is None
    with pytest.raises(ConnectionRefusedError):
        async with RawDevice(cloud):
            pass
    await cloud.broker.start()
    await cloud.until_reported(connected=False, within_s=30)


# Taking over. ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("how", "code"), [("disconnect", 0x8E), ("hang-up", None)])
async def test_the_same_client_id_again_takes_over(
    cloud: Emulator, device: RawDevice, how: str, code: int | None
) -> None:
    cloud.front.takeover = how
    await device.connect(will=WILL)
    async with RawDevice(cloud) as other:
        assert (await other.connect()).reason_code == 0
        assert await device.ending() == code
        await cloud.until_reported(connected=False)
        assert await other.publish(TELEMETRY) in (0, 0x10)
    assert cloud.front.connections[0].ended is Reason.DUPLICATE_CLIENTID


# The policy. -----------------------------------------------------------------------------------------------


async def test_a_refused_publish_cuts_without_a_puback(cloud: Emulator, device: RawDevice) -> None:
    async with cloud.watch("my/#") as watch:
        await device.connect()
        device.say("my/things/OTHER/update", TRUE)
        device.say(TELEMETRY, b"behind it")
        with pytest.raises(EOFError):
            await device.receive(mqtt5.PubAckPacket)
        await cloud.publish("my/end", b"")
        assert [arrival.topic for arrival in await watch.take(1)] == ["my/end"]
    assert cloud.front.connections[0].ended is Reason.AUTH_ERROR


async def test_what_came_before_a_refused_publish_is_published(cloud: Emulator, device: RawDevice) -> None:
    async with cloud.watch("my/#") as watch:
        await device.connect()
        device._writer.write(
            b"".join(
                mqtt5.PublishPacket(topic, b"").write() for topic in (TELEMETRY, "my/things/OTHER/update")
            )
        )
        assert await device.ending() is None
        assert (await watch.next()).topic == TELEMETRY


async def test_a_refused_subscribe_cuts_without_a_suback(cloud: Emulator, device: RawDevice) -> None:
    await device.connect()
    assert await device.subscribe(f"{SHADOW}/update/documents") == [1]
    with pytest.raises(EOFError):
        await device.subscribe(f"{SHADOW}/get/accepted", f"{SHADOW}/update/#")
    assert cloud.front.connections[0].log[-1] == ("Subscribe", f"{SHADOW}/get/accepted {SHADOW}/update/#")


async def test_what_may_not_be_received_is_not_delivered(cloud: Emulator, device: RawDevice) -> None:
    cloud.front.policy = cloud.front.policy.without("HearTheOwnShadow")
    await device.connect()
    assert await device.subscribe(f"{SHADOW}/update/documents") == [1]
    async with cloud.watch(f"{SHADOW}/update/documents") as watch:
        await cloud.publish(PRESENCE, TRUE)
        await watch.next()
    device.send(mqtt5.PingReqPacket())
    await device.receive(mqtt5.PingRespPacket)  # and nothing before it
    cloud.front.policy = EVERYTHING
    await cloud.publish(PRESENCE, FALSE)
    assert json.loads((await device.receive(mqtt5.PublishPacket)).payload)["current"]["version"] == 2


async def test_qos_2_becomes_1_for_subscribers_and_is_refused_to_publishers(device: RawDevice) -> None:
    await device.connect()
    filters = [mqtt5.TopicFilter(f"{SHADOW}/get/accepted", max_qos=mqtt5.QoS.EXACTLY_ONCE)]
    device.send(mqtt5.SubscribePacket(1, filters))
    assert (await device.receive(mqtt5.SubAckPacket)).reason_codes == [1]
    device.say(TELEMETRY, qos=mqtt5.QoS.EXACTLY_ONCE)
    assert await device.ending() == 0x9B


# Quotas. ---------------------------------------------------------------------------------------------------


@pytest.fixture
def strict(cloud: Emulator) -> Emulator:
    cloud.front.set_quotas("aws")
    return cloud


async def test_the_hundred_and_first_publish_of_a_second_has_no_puback(
    strict: Emulator, device: RawDevice
) -> None:
    await device.connect()
    async with strict.watch(TELEMETRY) as watch:
        for number in range(120):
            device.say(TELEMETRY, b"%d" % number, qos=mqtt5.QoS.AT_MOST_ONCE)
        await watch.take(100)
        usage = strict.front.connections[0].usage
        await until(lambda: usage.discarded == 20)
    assert usage.publishes.highest == 120
    assert len(watch.seen) == 100


async def test_without_quotas_they_are_counted_and_kept(cloud: Emulator, device: RawDevice) -> None:
    """20,000 publishes, far beyond AWS's quotas, as fast as they go."""
    await device.connect()
    count = 20_000
    began = time.monotonic()
    sent = b"".join(
        mqtt5.PublishPacket(
            TELEMETRY, b"x" * 100, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=n % 60000 + 1
        ).write()
        for n in range(count)
    )
    device._writer.write(sent)
    for _ in range(count):
        await device.receive(mqtt5.PubAckPacket)
    took = time.monotonic() - began
    usage = cloud.front.connections[0].usage
    assert cloud.front.connections[0].packets["Publish"] == count
    assert (usage.unacknowledged, usage.discarded) == (0, 0)
    assert usage.bytes.highest > 512 * 1024
    assert took < 5.0, f"{count / took:.0f} publishes/s"


@pytest.mark.parametrize(
    ("topic", "size", "code"),
    [("my/things/RPI/update/a/b/c/d/e", 0, 0x90), ("t" * 257, 0, 0x90), (TELEMETRY, 128 * 1024 + 1, 0x95)],
)
async def test_too_much_of_one_thing(
    strict: Emulator, device: RawDevice, topic: str, size: int, code: int
) -> None:
    await device.connect()
    device.say(topic, bytes(size))
    assert await device.ending() == code


async def test_one_connect_a_second(strict: Emulator, device: RawDevice) -> None:
    await device.connect()
    async with RawDevice(strict) as soon:
        assert (await soon.connect()).reason_code == 0x97
    assert strict.front.connection_of("RPI"), "the first is not taken over"


async def test_a_throttled_connection_is_slow_and_loses_nothing(cloud: Emulator, device: RawDevice) -> None:
    await device.connect()
    cloud.front.throttle(100_000)
    began = time.monotonic()
    async with cloud.watch(TELEMETRY) as watch:
        for _ in range(15):
            device.say(TELEMETRY, bytes(10_000))
        await watch.take(15, within_s=10)
        assert time.monotonic() - began > 0.4  # a second's worth passes at once
        cloud.front.throttle(None)


# Faults. ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0x80, 0x87, 0x97])
async def test_a_chosen_puback(cloud: Emulator, device: RawDevice, code: int) -> None:
    fault = cloud.front.faults.puback(TELEMETRY, code, times=1)
    await device.connect()
    assert await device.publish(PRESENCE, TRUE) == 0
    assert await device.publish(TELEMETRY) == code
    assert await device.publish(TELEMETRY) == 0x10
    assert fault.hits == 1


async def test_a_chosen_disconnect(cloud: Emulator, device: RawDevice) -> None:
    cloud.front.faults.disconnect(lambda packet: packet.payload == b"bad", 0x99)
    await device.connect()
    await device.publish(TELEMETRY, b"good")
    device.say(TELEMETRY, b"bad")
    assert await device.ending() == 0x99


@pytest.mark.parametrize("reset", [False, True])
async def test_a_poisonous_publish(cloud: Emulator, device: RawDevice, reset: bool) -> None:
    cloud.front.faults.cut(lambda packet: b"poison" in packet.payload, reset=reset)
    await device.connect(will=WILL)
    device.say(TELEMETRY, b"poison")
    assert await device.ending() is None
    await cloud.until_reported(connected=False)


async def test_a_puback_that_does_not_come(cloud: Emulator, device: RawDevice) -> None:
    cloud.front.faults.withhold(TELEMETRY, times=1)
    await device.connect()
    async with cloud.watch(TELEMETRY) as watch:
        device.say(TELEMETRY, b"first")
        assert await device.publish(TELEMETRY, b"second") == 0, "the first PUBACK that comes is the second's"
        assert [arrival.payload for arrival in await watch.take(2)] == [b"first", b"second"]
    assert cloud.front.connections[0].usage.unacknowledged == 1


async def test_all_connections_are_cut_and_ended_and_the_door_is_closed(cloud: Emulator) -> None:
    async with RawDevice(cloud) as device:
        await device.connect()
        cloud.front.cut(reset=True)
        assert await device.ending() is None
    async with RawDevice(cloud) as device:
        await device.connect()
        cloud.front.disconnect(0x8B)
        assert await device.ending() == 0x8B
    cloud.front.close_listener()
    await cloud.publish("a", b"")  # does not open it
    with pytest.raises(ConnectionRefusedError):
        async with RawDevice(cloud):
            pass
    await cloud.front.open_listener()
    async with RawDevice(cloud) as device:
        assert (await device.connect()).reason_code == 0


# Events and rules. -----------------------------------------------------------------------------------------


async def test_a_connection_has_two_events_of_one_version(cloud: Emulator) -> None:
    async with cloud.watch("$aws/events/presence/#") as watch:
        events = []
        for farewell in (True, False):
            async with RawDevice(cloud) as device:
                await device.connect()
                if farewell:
                    device.send(mqtt5.DisconnectPacket())
                    await device.ending()
            events += [json.loads(arrival.payload) for arrival in await watch.take(2)]
        topics = [arrival.topic for arrival in watch.seen]
    assert topics == [f"$aws/events/presence/{kind}/RPI" for kind in ("connected", "disconnected")] * 2
    assert [event["versionNumber"] for event in events] == [0, 0, 1, 1]
    assert [event.get("clientInitiatedDisconnect") for event in events] == [None, True, None, False]
    assert [event.get("disconnectReason") for event in events[1::2]] == [
        "CLIENT_INITIATED_DISCONNECT",
        "CONNECTION_LOST",
    ]
    assert events[0]["sessionIdentifier"] == events[1]["sessionIdentifier"] != events[2]["sessionIdentifier"]
    assert len(events[0]["principalIdentifier"]) == 64
    assert events[0]["ipAddress"] in ("127.0.0.1", "::1")


async def test_a_rule_is_disabled_or_its_role_is_missing(cloud: Emulator) -> None:
    rule = cloud.rules["presence"]
    rule.enabled = False
    await cloud.publish(PRESENCE, b'{"state":{"reported":{"n":1}}}')
    async with cloud.watch(PRESENCE) as watch:
        await cloud.publish(PRESENCE, b'{"state":{"reported":{"n":2}}}')
        await watch.next()
    rule.enabled, rule.may_publish = True, False
    with capture_logs() as logs:
        await cloud.publish(PRESENCE, b'{"state":{"reported":{"n":3}}}')
        await until(lambda: any("iot:Publish" in entry.get("reason", "") for entry in logs))
    assert cloud.shadow("RPI") == {}
    rule.may_publish = True
    await cloud.publish(PRESENCE, b'{"state":{"reported":{"n":4}}}')
    await cloud.until_reported(n=4)
    assert cloud.shadow("RPI")["version"] == 1


async def test_a_slow_rule(cloud: Emulator) -> None:
    cloud.rules["presence"].delay(0.2, 0.3, seed=1)
    began = time.monotonic()
    await cloud.publish(PRESENCE, TRUE)
    await cloud.until_reported(connected=True)
    assert time.monotonic() - began >= 0.2


# The whole. ------------------------------------------------------------------------------------------------


async def test_a_frozen_broker_does_not_keep_the_front_from_ending(cloud_directory: Path) -> None:
    async with Emulator(EmulatorOptions(cloud_directory)) as cloud:
        device = RawDevice(cloud)
        await device.__aenter__()
        await device.connect()
        await cloud.broker.freeze()
        device.say(TELEMETRY)
    assert await device.ending() is None
    device.vanish()


async def test_what_is_for_mosquittos_own_listener_is_not_taken_in_silence(cloud_directory: Path) -> None:
    with pytest.raises(EmulatorError, match="acl"):
        Emulator(EmulatorOptions(cloud_directory, acl="topic readwrite #"))


async def test_a_mistake_in_the_front_is_not_hidden(
    cloud_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(packet: mqtt5.PublishPacket) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with Emulator(EmulatorOptions(cloud_directory)) as cloud, RawDevice(cloud) as device:
            failed = asyncio.create_task(cloud.failed())
            cloud.front.faults.cut(broken)
            await device.connect()
            device.say(TELEMETRY)
            assert await device.ending() is None
            with pytest.raises(ZeroDivisionError):
                await asyncio.wait_for(failed, 5)
