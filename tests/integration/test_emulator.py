"""The emulator with the real mosquitto: devices over mutual TLS, the rule, the shadow, and a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from paho.mqtt.properties import Properties
from structlog.testing import capture_logs

from serial2iot.emulator import pki
from serial2iot.emulator.aws_files import aws_file
from serial2iot.emulator.cloud import Emulator, EmulatorOptions
from serial2iot.emulator.link import Arrival, Link
from serial2iot.emulator.pki import Authority, Credentials
from serial2iot.emulator.policy import EVERYTHING
from serial2iot.emulator.rules import Rule, parse_rule
from serial2iot.emulator.services import RuleRunner
from serial2iot.errors import EmulatorError
from tests.leaks import children, open_descriptors, tasks_left

PRESENCE = "my/things/RPI/update"
TRUE = b'{"state":{"reported":{"connected":true}}}'
FALSE = b'{"state":{"reported":{"connected":false}}}'


def tls(credentials: Credentials) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(credentials.root_ca))
    context.load_cert_chain(credentials.certificate, credentials.private_key)
    return context


def device(cloud: Emulator, context: ssl.SSLContext | None = None, **more: Any) -> aiomqtt.Client:
    return aiomqtt.Client(
        cloud.endpoint,
        cloud.port,
        identifier="RPI",
        protocol=aiomqtt.ProtocolVersion.V5,
        tls_context=context or tls(cloud.credentials),
        timeout=5,
        **more,
    )


def republish(source: str, target: str) -> Rule:
    action = {"republish": {"roleArn": "arn:aws:iam::ACCOUNT:role/r", "topic": target, "qos": 1}}
    return parse_rule(source, {"sql": f"SELECT * FROM '{source}'", "actions": [action]})


async def test_a_device_speaks_and_its_shadow_follows(cloud: Emulator) -> None:
    shadow = "$aws/things/RPI/shadow"
    async with device(cloud) as client:
        await client.subscribe(f"{shadow}/update/documents", 1)
        await client.subscribe(f"{shadow}/get/accepted", 1)
        await client.publish(PRESENCE, TRUE, 1)
        await cloud.until_reported(connected=True)
        await client.publish(f"{shadow}/get", b"", 1)
        documents = json.loads((await anext(client.messages)).payload)
        answer = json.loads((await anext(client.messages)).payload)
    assert documents["current"]["state"] == {"reported": {"connected": True}}
    assert (answer["state"], answer["version"]) == ({"reported": {"connected": True}}, 1)
    assert cloud.shadow("RPI")["version"] == 1
    assert cloud.shadow("OTHER") == {}


async def test_an_application_desires_and_the_device_gets_the_delta(cloud: Emulator) -> None:
    cloud.front.policy = EVERYTHING
    async with device(cloud) as client:
        await client.subscribe("$aws/things/RPI/shadow/update/delta", 1)
        await cloud.publish("$aws/things/RPI/shadow/update", b'{"state":{"desired":{"led":"on"}}}')
        assert json.loads((await anext(client.messages)).payload)["state"] == {"led": "on"}


async def test_a_client_without_a_certificate_is_refused(cloud: Emulator) -> None:
    await refused(cloud, ssl.create_default_context(cafile=str(cloud.root_ca)))


@pytest.mark.parametrize("make", [pki.expired_device, pki.stranger_device])
async def test_bad_certificates_are_refused(
    cloud: Emulator, make: Callable[[Authority, str, datetime], Credentials]
) -> None:
    await refused(cloud, tls(make(cloud.authority, "RPI", datetime.now(UTC))))


async def refused(cloud: Emulator, context: ssl.SSLContext) -> None:
    """With TLS 1.3 a client believes that it is connected until it reads: the alert comes then."""
    with pytest.raises(ssl.SSLError, match="alert"):
        reader, writer = await asyncio.open_connection(cloud.endpoint, cloud.port, ssl=context)
        try:
            await asyncio.wait_for(reader.read(1), 5)
        finally:
            writer.transport.abort()


async def test_an_rsa_key_is_as_good(cloud: Emulator) -> None:
    async with device(cloud, tls(pki.rsa_device(cloud.authority, "RPI", datetime.now(UTC)))) as client:
        await client.publish(PRESENCE, TRUE, 1)
    await cloud.until_reported(connected=True)


async def test_a_killed_device_turns_its_shadow_to_false(cloud: Emulator) -> None:
    """The whole point: last will, rule, shadow."""
    script = f"""
import ssl, sys, time, paho.mqtt.client as mqtt
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "RPI", protocol=mqtt.MQTTv5)
client.tls_set({str(cloud.root_ca)!r}, {str(cloud.certificate)!r}, {str(cloud.private_key)!r})
client.will_set({PRESENCE!r}, {FALSE!r}, 1)
client.connect("localhost", {cloud.port})
client.on_connect = lambda *_: client.publish({PRESENCE!r}, {TRUE!r}, 1)
client.loop_forever()
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    try:
        await cloud.until_reported(connected=True)
    finally:
        process.kill()
        await process.wait()
    await cloud.until_reported(connected=False)
    assert cloud.shadow("RPI")["version"] == 2


async def test_with_one_dollar_the_shadow_never_learns_of_it_and_the_log_says_why(
    cloud_directory: Path,
) -> None:
    document = json.loads(aws_file("rule-presence.json").read_bytes())
    document["actions"][0]["republish"]["topic"] = "$aws/things/${topic(3)}/shadow/update"
    options = EmulatorOptions(cloud_directory, rules=(parse_rule("presence", document), republish("a", "b")))
    with capture_logs() as logs:
        async with Emulator(options) as cloud, cloud.watch("b") as other_rule:
            await cloud.publish(PRESENCE, TRUE)
            await cloud.publish("a", b"1")
            await other_rule.next()
            await until(lambda: bool(logs))
            assert cloud.shadow("RPI") == {}
    [entry] = logs
    assert (entry["event"], entry["rule"], entry["topic"]) == ("rule_failed", "presence", PRESENCE)
    assert "second $" in entry["reason"]


async def test_a_rule_fires_once_for_each_message_whatever_overlaps(cloud_directory: Path) -> None:
    rules = (republish("a/+", "one"), republish("a/#", "two"), republish("#", "all/two"))
    async with (
        Emulator(EmulatorOptions(cloud_directory, rules=rules[:2])) as cloud,
        cloud.watch("one") as one,
        cloud.watch("two") as two,
    ):
        for number in range(3):
            await cloud.publish("a/b", b"%d" % number)
        assert [arrival.payload for arrival in await one.take(3)] == [b"0", b"1", b"2"]
        assert [arrival.payload for arrival in await two.take(3)] == [b"0", b"1", b"2"]
        assert (len(one.seen), len(two.seen)) == (3, 3)


async def test_a_retained_message_does_not_fire_a_rule_that_comes_later(cloud: Emulator) -> None:
    cloud.front.policy = EVERYTHING
    async with device(cloud) as client, cloud.watch("b") as watch:
        await client.publish("a", b"old", 1, retain=True)
        runner = RuleRunner(cloud.plain_port, republish("a", "b"))
        running = asyncio.create_task(runner.link.run())
        await runner.link.up()
        await client.publish("a", b"new", 1)
        assert (await watch.next()).payload == b"new"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_the_order_is_kept_through_rule_and_shadow(cloud: Emulator) -> None:
    count = 300
    async with device(cloud) as client, cloud.watch("$aws/things/RPI/shadow/update/documents") as watch:
        async with asyncio.TaskGroup() as sending:
            for number in range(count):
                update = b'{"state":{"reported":{"n":%d}}}' % number
                sending.create_task(client.publish(PRESENCE, update, 1))
        documents = [json.loads(arrival.payload) for arrival in await watch.take(count, within_s=20)]
    assert [document["current"]["version"] for document in documents] == list(range(1, count + 1))
    assert [document["current"]["state"]["reported"]["n"] for document in documents] == list(range(count))


async def test_after_a_restart_of_the_broker_everything_is_back_on_the_same_ports(cloud: Emulator) -> None:
    ports, first = (cloud.port, cloud.plain_port), cloud.broker.pid
    async with cloud.watch("my/#") as watch:
        async with device(cloud) as client:
            await client.publish(PRESENCE, TRUE, 1)
            await cloud.until_reported(connected=True)
            await cloud.broker.restart()
            with pytest.raises(aiomqtt.MqttError):
                await anext(client.messages)
        assert (cloud.port, cloud.plain_port) == ports
        assert cloud.broker.pid != first
        async with device(cloud) as client:
            await client.publish(PRESENCE, FALSE, 1)
        await cloud.until_reported(connected=False)
        assert [arrival.payload for arrival in watch.seen] == [TRUE, FALSE]


async def test_a_killed_broker_is_down_until_it_is_started(cloud: Emulator) -> None:
    await cloud.broker.kill()
    assert cloud.broker.pid is None
    publishing = asyncio.create_task(cloud.publish(PRESENCE, TRUE))
    with pytest.raises(aiomqtt.MqttError):
        async with device(cloud):
            pass
    await cloud.broker.start()
    await publishing
    await cloud.until_reported(connected=True)


async def test_what_a_service_had_to_say_survives_a_crash_of_the_broker(cloud: Emulator) -> None:
    arrived: list[bytes] = []
    link = Link(cloud.plain_port, ["a"], lambda arrival: arrived.append(arrival.payload))
    running = asyncio.create_task(link.run())
    await link.up()
    await cloud.broker.freeze()
    link.send("a", b"on its way when the broker dies")
    link.send("a", b"waiting behind it")
    await asyncio.sleep(0)
    await cloud.broker.kill()
    await cloud.broker.start()
    await link.flushed()
    await until(lambda: len(arrived) == 2)
    assert arrived == [b"on its way when the broker dies", b"waiting behind it"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_service_with_a_bug_is_not_hidden_by_reconnecting(cloud: Emulator) -> None:
    def broken(arrival: Arrival) -> None:
        raise ZeroDivisionError

    link = Link(cloud.plain_port, ["a"], broken)
    running = asyncio.create_task(link.run())
    await link.up()
    await cloud.publish("a", b"")
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(running, 5)


async def test_a_frozen_broker_answers_when_it_is_thawed(cloud: Emulator) -> None:
    async with device(cloud) as client:
        await cloud.broker.freeze()
        publishing = asyncio.create_task(client.publish(PRESENCE, TRUE, 1))
        done, _ = await asyncio.wait({publishing}, timeout=0.1)
        assert not done
        await cloud.broker.thaw()
        await publishing
    await cloud.until_reported(connected=True)


async def test_a_frozen_broker_ends_with_the_emulator(cloud_directory: Path) -> None:
    async with Emulator(EmulatorOptions(cloud_directory)) as cloud:
        await cloud.broker.freeze()
    assert cloud.broker.pid is None


async def test_an_acl_refuses_a_topic_and_is_replaced_while_a_device_is_connected(
    cloud_directory: Path,
) -> None:
    everything = "pattern readwrite #\npattern readwrite $aws/#\n"
    async with (
        Emulator(EmulatorOptions(cloud_directory, front=False, acl=everything)) as cloud,
        _reasons(cloud) as (client, reasons),
    ):
        await client.publish("refused", b"1", 1)
        await cloud.broker.set_acl(everything + "pattern deny refused\n")
        await until(lambda: "Reloading config" in cloud.broker.log_tail(20))
        await client.publish("allowed", b"2", 1)
        await client.publish("refused", b"3", 1)
        assert reasons == [0x10, 0x10, 0x87]


@contextlib.asynccontextmanager
async def _reasons(cloud: Emulator) -> AsyncIterator[tuple[aiomqtt.Client, list[int]]]:
    """A device, and the reason code of each of its PUBACKs, which aiomqtt itself does not show."""
    reasons: list[int] = []

    class Noting(aiomqtt.Client):
        def _on_publish(
            self, client: Any, userdata: Any, mid: int, reason: Any, properties: Properties
        ) -> None:
            reasons.append(reason.value)
            super()._on_publish(client, userdata, mid, reason, properties)

    client = Noting(
        cloud.endpoint,
        cloud.port,
        identifier="RPI",
        protocol=aiomqtt.ProtocolVersion.V5,
        tls_context=tls(cloud.credentials),
    )
    with contextlib.suppress(aiomqtt.MqttError):  # over TLS mosquitto closes the connection after a refusal
        async with client:
            yield client, reasons


async def test_a_watch_that_waits_in_vain_says_what_came(cloud: Emulator) -> None:
    async with cloud.watch("a/#") as watch:
        await cloud.publish("a/b", b"only this")
        with pytest.raises(TimeoutError, match=r"1 of 2 messages on a/# .*only this"):
            await watch.take(2, within_s=0.2)
        assert (await watch.next()).payload == b"only this"


async def test_a_shadow_that_stays_otherwise_is_told(cloud: Emulator) -> None:
    await cloud.publish(PRESENCE, TRUE)
    await cloud.until_reported(connected=True)
    with pytest.raises(TimeoutError, match="'connected': True"):
        await cloud.until_reported(connected=False, within_s=0.1)


async def test_nothing_is_left_behind(cloud_directory: Path) -> None:
    gc.collect()
    before = open_descriptors(), children(), tasks_left()
    async with Emulator(EmulatorOptions(cloud_directory)) as cloud, cloud.watch("#"):
        await cloud.publish(PRESENCE, TRUE)
        await cloud.broker.restart()
        assert cloud.broker.pid in children()
    gc.collect()
    assert (open_descriptors(), children(), tasks_left()) == before


async def test_nothing_is_left_behind_by_a_failure(cloud_directory: Path) -> None:
    gc.collect()
    before = open_descriptors(), children(), tasks_left()
    with pytest.raises(RuntimeError):
        async with Emulator(EmulatorOptions(cloud_directory)):
            raise RuntimeError
    with pytest.raises(EmulatorError):
        async with Emulator(
            EmulatorOptions(cloud_directory, front=False, listener_lines=("no_such_option 1",))
        ):
            pass
    gc.collect()
    assert (open_descriptors(), children(), tasks_left()) == before


async def test_a_broker_that_does_not_come_up_is_told_with_its_own_words(cloud_directory: Path) -> None:
    options = EmulatorOptions(cloud_directory, front=False, listener_lines=("no_such_option 1",))
    with pytest.raises(EmulatorError, match="no_such_option"):
        async with Emulator(options):
            pass


async def test_a_port_that_is_taken_is_named(cloud: Emulator, cloud_directory: Path) -> None:
    with pytest.raises(EmulatorError, match=f"port {cloud.port} is in use") as caught:
        async with Emulator(EmulatorOptions(cloud_directory, port=cloud.port)):
            pass
    assert str(cloud.port) in caught.value.hint


async def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmulatorError, match="file/below"):
        async with Emulator(EmulatorOptions(tmp_path / "file/below")):
            pass


async def test_a_broker_that_dies_by_itself_is_noticed(cloud: Emulator) -> None:
    assert cloud.broker.pid is not None
    watching = asyncio.create_task(cloud.failed())
    os.kill(cloud.broker.pid, 9)
    with pytest.raises(EmulatorError, match="mosquitto ended"):
        await asyncio.wait_for(watching, 5)


async def test_two_clouds_do_not_meet(cloud: Emulator, cloud_directory: Path) -> None:
    async with Emulator(replace(EmulatorOptions(cloud_directory), thing="RPI")) as other:
        await other.publish(PRESENCE, TRUE)
        await other.until_reported(connected=True)
        assert cloud.shadow("RPI") == {}


async def test_it_is_up_in_no_time(
    cloud_directory: Path, record_property: Callable[[str, object], None]
) -> None:
    """Every other test waits for this; 15 ms on the development machine."""
    async with Emulator(EmulatorOptions(cloud_directory)):
        pass
    began = time.perf_counter()
    async with Emulator(EmulatorOptions(cloud_directory)):
        took = time.perf_counter() - began
    record_property("seconds", took)
    assert took < 0.1


async def until(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait for what nobody tells."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)
