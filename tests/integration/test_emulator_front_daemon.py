"""The front as the daemon meets it: awscrt through the daemon's own session, and its whole run under the policy."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from serial2iot.cloud.delivery import Delivery
from serial2iot.emulator.cloud import Emulator
from serial2iot.emulator.lifecycle import Reason
from tests.scene import TELEMETRY, Arrivals, Scene
from tests.session_peer import PATIENCE_S, connecting, options_for

PRESENCE = "my/things/RPI/update"
STATEMENTS = (
    "ConnectUnderTheNameOfTheThing",
    "SayPresenceAndReadings",
    "ListenToTheOwnShadow",
    "HearTheOwnShadow",
)


@pytest.fixture
def options(cloud: Emulator):
    return options_for(cloud)


async def test_fates_of_a_publish(cloud: Emulator, options) -> None:
    async with connecting(options, PRESENCE) as peer:
        await asyncio.wait_for(peer.up.wait(), PATIENCE_S)
        assert await peer.publish(TELEMETRY) is Delivery.UNHEARD
        async with cloud.watch(TELEMETRY):
            assert await peer.publish(TELEMETRY) is Delivery.ACKNOWLEDGED
        for code, fate in ((0x97, Delivery.QUOTA), (0x87, Delivery.REFUSED), (0x80, Delivery.FAILED)):
            cloud.front.faults.puback(TELEMETRY, code, times=1)
            assert await peer.publish(TELEMETRY) is fate
        assert not peer.losses
        peer.session.publish("my/things/OTHER/update", b"{}", lambda fate: None)
        await asyncio.wait_for(peer.down.wait(), PATIENCE_S)
    assert cloud.front.connections[0].ended is Reason.AUTH_ERROR
    await cloud.until_reported(connected=False)


@pytest.mark.parametrize("code", [0x8B, 0x90, 0x95, 0x97, 0x99])
async def test_a_disconnect_arrives_with_its_reason(cloud: Emulator, options, code: int) -> None:
    cloud.front.faults.disconnect(TELEMETRY, code)
    async with connecting(options, PRESENCE) as peer:
        await asyncio.wait_for(peer.up.wait(), PATIENCE_S)
        peer.session.publish(TELEMETRY, b"{}", lambda fate: None)
        await asyncio.wait_for(peer.down.wait(), PATIENCE_S)
    assert peer.losses[0].reason_code == code


@pytest.mark.parametrize(("how", "code"), [("disconnect", 0x8E), ("hang-up", None)])
async def test_a_takeover_is_told_or_not(cloud: Emulator, options, how: str, code: int | None) -> None:
    cloud.front.takeover = how
    async with connecting(options, PRESENCE) as first:
        await asyncio.wait_for(first.up.wait(), PATIENCE_S)
        async with connecting(options, PRESENCE):
            await asyncio.wait_for(first.down.wait(), PATIENCE_S)
            assert first.losses[0].reason_code == code


async def test_a_suback_that_never_comes(cloud: Emulator, options) -> None:
    cloud.front.policy = cloud.front.policy.without("ListenToTheOwnShadow")
    granted: list[int | None] = []
    async with connecting(options, PRESENCE) as peer:
        await asyncio.wait_for(peer.up.wait(), PATIENCE_S)
        peer.session.subscribe(
            "$aws/things/RPI/shadow/get/accepted", lambda topic, payload: None, granted.append
        )
        await asyncio.wait_for(peer.down.wait(), PATIENCE_S)
        assert granted == [None]


async def test_a_refused_connect_names_its_code(cloud: Emulator, options) -> None:
    async with connecting(replace(options, client_id="OTHER"), PRESENCE), asyncio.timeout(PATIENCE_S):
        while not cloud.front.refused:
            await asyncio.sleep(0.02)
    assert cloud.front.refused[0] == ("OTHER", 0x87)


async def test_the_whole_run_is_allowed_by_the_policy_of_this_project(scene: Scene) -> None:
    async with (
        scene.cloud.watch(TELEMETRY) as watch,
        scene.board() as board,
        scene.daemon(scene.config()) as daemon,
    ):
        await daemon.said("presence_confirmed|presence confirmed")
        await daemon.said("port_open|port open")
        await board.send_numbered(50)
        await Arrivals(watch).until(50)
        assert await daemon.stop() == 0
    [connection] = scene.cloud.front.connections
    assert connection.publishes[0] == PRESENCE == connection.publishes[-1]
    assert "$aws/things/RPI/shadow/get" in connection.publishes
    assert connection.ended is Reason.CLIENT_INITIATED_DISCONNECT
    assert not scene.cloud.front.refused
    assert not scene.cloud.front.wills.published


async def test_the_statements_are_those_of_the_next_test(cloud: Emulator) -> None:
    assert tuple(statement.sid for statement in cloud.front.policy.statements) == STATEMENTS


@pytest.mark.parametrize(
    ("missing", "complaint", "readings_flow"),
    [
        ("ConnectUnderTheNameOfTheThing", "connect failed.*policy", False),
        ("SayPresenceAndReadings", "connect failed.*policy", False),  # the will is refused with it
        ("ListenToTheOwnShadow", "iot:Subscribe on topicfilter", True),
        ("HearTheOwnShadow", "iot:Receive on", True),
    ],
)
async def test_without_any_of_its_statements_something_is_missing_and_named(
    scene: Scene, missing: str, complaint: str, readings_flow: bool
) -> None:
    front = scene.cloud.front
    front.policy = front.policy.without(missing)
    async with (
        scene.cloud.watch(TELEMETRY) as watch,
        scene.board() as board,
        scene.daemon(scene.config()) as daemon,
    ):
        await daemon.said("port_open|port open")
        await board.send_numbered(10)
        await daemon.said(complaint.replace("_", "[_ ]"))
        if readings_flow:
            await Arrivals(watch).until(10)
        assert bool(front.connections) is readings_flow
        assert not any("presence_confirmed" in line or "presence confirmed" in line for line in daemon.log)
        assert await daemon.stop() == 0
