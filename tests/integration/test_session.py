"""The session against the real broker: what it says when it cannot connect, and what it does when it can."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
import structlog

from serial2iot.cloud.delivery import Delivery
from serial2iot.cloud.options import SessionOptions
from serial2iot.cloud.session import Session
from serial2iot.emulator.cloud import Emulator, EmulatorOptions
from serial2iot.emulator.pki import expired_device, rsa_device, stranger_device
from serial2iot.emulator.policy import EVERYTHING
from serial2iot.emulator.ports import free_port
from serial2iot.errors import CredentialError
from tests.session_peer import PATIENCE_S, connected, connecting, options_for


@pytest_asyncio.fixture
async def cloud(cloud_directory: Path) -> AsyncIterator[Emulator]:
    """A cloud whose policy allows the topics of these tests, which are about something else."""
    async with Emulator(EmulatorOptions(cloud_directory, policy=EVERYTHING)) as emulator:
        yield emulator


async def complaint(options: SessionOptions, within_s: float = PATIENCE_S) -> dict[str, object]:
    """What is logged about a connection that fails."""
    with structlog.testing.capture_logs() as logs:
        async with connecting(options), asyncio.timeout(within_s):
            while not (found := [entry for entry in logs if entry["event"] == "connect_failed"]):
                await asyncio.sleep(0.02)
    assert found[0]["log_level"] == "warning"
    return found[0]


async def test_a_port_where_nobody_listens(cloud: Emulator) -> None:
    said = await complaint(replace(options_for(cloud), port=free_port()))
    assert "refuses connections on port" in str(said["reason"])
    assert "mqtt.port" in str(said["hint"])


async def test_a_name_that_does_not_resolve(cloud: Emulator) -> None:
    said = await complaint(replace(options_for(cloud), endpoint="no-such-name.invalid"))
    assert "no-such-name.invalid" in str(said["reason"])
    assert "mqtt.endpoint" in str(said["hint"])


@pytest.mark.parametrize("make", [expired_device, stranger_device])
async def test_a_certificate_that_the_broker_does_not_accept(cloud: Emulator, make) -> None:
    said = await complaint(options_for(cloud, make(cloud.authority, "RPI", datetime.now(UTC))))
    assert "refused the device certificate" in str(said["reason"])
    assert "mqtt.certificate" in str(said["hint"])


@pytest.mark.timeout(60)
async def test_a_root_ca_that_is_not_the_brokers(cloud: Emulator, tmp_path_factory) -> None:
    other = Emulator(EmulatorOptions(tmp_path_factory.mktemp("other")))
    async with other:
        # s2n waits 10 to 30 s before it reports a failed handshake, so that timing tells an attacker nothing.
        said = await complaint(replace(options_for(cloud), root_ca=other.root_ca), within_s=45)
    assert "TLS handshake" in str(said["reason"])
    assert "mqtt.root_ca" in str(said["hint"])


async def test_a_key_that_is_no_key_names_the_file(cloud: Emulator, tmp_path) -> None:
    bad = tmp_path / "bad.key"
    bad.write_text("no key at all")
    with pytest.raises(CredentialError, match=str(bad)):
        Session(
            replace(options_for(cloud), private_key=bad),
            ("will", b""),
            on_up=lambda: None,
            on_down=lambda loss: None,
        )


async def test_an_rsa_key_connects_too(cloud: Emulator) -> None:
    credentials = rsa_device(cloud.authority, "RPI", datetime.now(UTC))
    async with connecting(options_for(cloud, credentials)) as peer:
        await asyncio.wait_for(peer.up.wait(), PATIENCE_S)


async def test_a_puback_says_what_became_of_a_message(cloud_directory) -> None:
    acl = "user RPI\ntopic readwrite heard\ntopic write unheard\n"
    async with (
        Emulator(EmulatorOptions(cloud_directory, front=False, acl=acl)) as cloud,
        connected(cloud) as peer,
    ):
        assert await peer.publish("unheard") is Delivery.UNHEARD
        async with cloud.watch("heard"):
            assert await peer.publish("heard") is Delivery.ACKNOWLEDGED
        assert await peer.publish("forbidden") is Delivery.REFUSED


async def test_a_publish_without_a_link_is_cut(cloud: Emulator) -> None:
    async with connected(cloud) as peer:
        await cloud.broker.kill()
        await asyncio.wait_for(peer.down.wait(), PATIENCE_S)
        assert await peer.publish("x") is Delivery.CUT


async def test_what_was_in_flight_when_the_broker_died_is_never_resent_by_the_crt(cloud: Emulator) -> None:
    async with connected(cloud) as peer:
        await cloud.broker.freeze()
        answers: list[Delivery] = []
        for _ in range(5):
            peer.session.publish("x", b"{}", answers.append)
        await asyncio.sleep(0.05)
        await cloud.broker.kill()
        await asyncio.wait_for(peer.down.wait(), PATIENCE_S)
        assert peer.losses[0].unexplained
        peer.on_up = lambda: peer.session.publish("birth", b"{}", answers.append)
        await cloud.broker.start()  # the session is back after a second at the earliest
        async with cloud.watch("#") as watch:
            await watch.until(lambda arrival: arrival.topic == "birth", PATIENCE_S)
            async with asyncio.timeout(PATIENCE_S):
                while len(answers) < 6:
                    await asyncio.sleep(0.01)
        assert sorted(answers, key=str) == [Delivery.ACKNOWLEDGED, *[Delivery.CUT] * 5]
        assert [arrival.topic for arrival in watch.seen if arrival.topic != "will/RPI"] == ["birth"]


async def test_subscriptions_are_made_again_after_each_connection(cloud: Emulator) -> None:
    heard: list[bytes] = []
    granted: list[int | None] = []
    async with connected(cloud) as peer:
        peer.session.subscribe("cmd/RPI", lambda topic, payload: heard.append(payload), granted.append)
        for number in range(2):
            async with asyncio.timeout(PATIENCE_S):
                while len([code for code in granted if code is not None]) <= number:
                    await asyncio.sleep(0.01)
            await cloud.publish("cmd/RPI", b"%d" % number)
            async with asyncio.timeout(PATIENCE_S):
                while len(heard) <= number:
                    await asyncio.sleep(0.01)
            if number == 0:
                await cloud.broker.kill()
                await asyncio.wait_for(peer.down.wait(), PATIENCE_S)
                await cloud.broker.start()
                await asyncio.wait_for(peer.up.wait(), PATIENCE_S)
    assert heard == [b"0", b"1"]
    assert peer.ups == 2


async def test_a_clean_stop_sends_no_will(cloud: Emulator) -> None:
    async with cloud.watch("will/#") as watch:
        async with connected(cloud):
            pass
        await cloud.publish("will/end", b"")
        assert [arrival.topic for arrival in await watch.take(1)] == ["will/end"]


async def test_another_client_with_our_id_is_noticed(cloud: Emulator) -> None:
    async with connected(cloud) as first, connected(cloud):
        await asyncio.wait_for(first.down.wait(), PATIENCE_S)
        assert "client" in first.losses[0].hint


async def test_staying_away_sends_no_will_and_ends_by_itself(cloud: Emulator) -> None:
    async with cloud.watch("will/#") as watch, connected(cloud) as peer:
        began = asyncio.get_running_loop().time()
        peer.session.stay_away(0.5)
        await asyncio.wait_for(peer.down.wait(), PATIENCE_S)
        await asyncio.wait_for(peer.up.wait(), PATIENCE_S)
        assert asyncio.get_running_loop().time() - began >= 0.5
        assert watch.seen == []


async def test_a_session_that_stays_away_can_be_stopped(cloud: Emulator) -> None:
    async with connected(cloud) as peer:
        peer.session.stay_away(3600)
        await asyncio.wait_for(peer.down.wait(), PATIENCE_S)
        await asyncio.wait_for(peer.session.stop(PATIENCE_S), 1.0)
