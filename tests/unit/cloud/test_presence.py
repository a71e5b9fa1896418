"""Birth, goodbye and the shadow's word, over a link in the test's hands."""

import asyncio
import json
from collections.abc import Callable

import pytest

from serial2iot.cloud.delivery import Delivery
from serial2iot.cloud.options import PresenceOptions
from serial2iot.cloud.presence import CONNECTED, CUTS, DISCONNECTED, Presence
from serial2iot.cloud.presence_table import State

TOPIC = "my/things/RPI/update"
SHADOW = "$aws/things/RPI/shadow"


class Wire:
    """Keeps what is published and subscribed; answers when told to."""

    def __init__(self) -> None:
        self.said: list[bytes] = []
        self.asked = 0
        self.waiting: list[Callable[[Delivery], None]] = []
        self.topics: dict[str, tuple] = {}

    def publish(self, topic: str, payload: bytes, done: Callable[[Delivery], None]) -> None:
        if topic == f"{SHADOW}/get":
            self.asked += 1
            return
        assert topic == TOPIC
        self.said.append(payload)
        self.waiting.append(done)

    def subscribe(self, topic: str, on_message, on_result) -> None:
        self.topics[topic] = (on_message, on_result)

    def unsubscribe(self, topic: str) -> None:
        del self.topics[topic]

    def answer(self, delivery: Delivery) -> None:
        self.waiting.pop(0)(delivery)

    def grant(self, code: int = 1) -> None:
        for _, on_result in self.topics.values():
            on_result(code)

    def shadow_says(self, connected: object, version: int, operation: str = "update/documents") -> None:
        document = {"state": {"reported": {"connected": connected}}, "version": version}
        topic = f"{SHADOW}/{operation}"
        payload = document if operation == "get/accepted" else {"previous": {}, "current": document}
        self.topics[topic][0](topic, json.dumps(payload).encode())


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
async def presence(wire: Wire) -> Presence:
    return Presence(PresenceOptions("RPI", TOPIC), wire)


@pytest.fixture
async def present(presence: Presence, wire: Wire) -> Presence:
    presence.link_up()
    wire.answer(Delivery.ACKNOWLEDGED)
    wire.grant()
    return presence


async def test_the_birth_is_said_before_anything_is_subscribed(presence: Presence, wire: Wire) -> None:
    presence.link_up()
    assert wire.said == [CONNECTED]
    assert set(wire.topics) == {
        f"{SHADOW}/{operation}" for operation in ("update/documents", "get/accepted", "get/rejected")
    }


async def test_the_shadow_is_asked_once_it_can_be_heard_and_confirms(present: Presence, wire: Wire) -> None:
    assert wire.asked == 1
    wire.shadow_says(True, 4, "get/accepted")
    assert present.state is State.CONFIRMED


async def test_a_shadow_that_says_false_is_contradicted(present: Presence, wire: Wire, monkeypatch) -> None:
    wire.shadow_says(True, 4)
    monkeypatch.setattr("serial2iot.cloud.presence_table.SETTLE_S", 0.0)
    wire.shadow_says(False, 5)
    async with asyncio.timeout(2):
        while len(wire.said) < 2:
            await asyncio.sleep(0)
    assert wire.said == [CONNECTED, CONNECTED]
    wire.shadow_says(True, 6)
    assert present.state is State.CONFIRMED


@pytest.mark.parametrize("word", [False, None, "true", 1])
async def test_only_a_json_true_confirms(present: Presence, wire: Wire, word: object) -> None:
    wire.shadow_says(word, 4)
    assert present.state is State.CONTRADICTED


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b"{}", b'{"current":7}', b"\xff"])
async def test_nonsense_from_the_shadow_changes_nothing(
    present: Presence, wire: Wire, payload: bytes
) -> None:
    topic = f"{SHADOW}/update/documents"
    wire.topics[topic][0](topic, payload)
    assert present.state is State.LISTENING


async def test_no_shadow_at_all_is_contradiction(present: Presence, wire: Wire) -> None:
    topic = f"{SHADOW}/get/rejected"
    wire.topics[topic][0](topic, b'{"code":404,"message":"No shadow exists with name: RPI"}')
    assert present.state is State.CONTRADICTED


async def test_a_refused_subscription_means_unconfirmed_and_nothing_worse(
    presence: Presence, wire: Wire
) -> None:
    presence.link_up()
    wire.answer(Delivery.ACKNOWLEDGED)
    wire.grant(0x87)
    assert presence.state is State.UNCONFIRMED


async def test_cut_twice_while_subscribing_goes_on_without_listening(presence: Presence, wire: Wire) -> None:
    for _ in range(CUTS):
        presence.link_up()
        wire.answer(Delivery.ACKNOWLEDGED)
        presence.link_down()
    assert wire.topics == {}
    presence.link_up()
    assert wire.topics == {}, "the link is not cut again and again"
    assert wire.said == [CONNECTED] * (CUTS + 1)


async def test_a_link_lost_later_is_no_word_against_listening(present: Presence, wire: Wire) -> None:
    for _ in range(5):
        present.link_down()
        present.link_up()
        wire.answer(Delivery.ACKNOWLEDGED)
        wire.grant()
    assert len(wire.topics) == 3


async def test_goodbye_waits_for_its_puback(present: Presence, wire: Wire) -> None:
    leaving = asyncio.create_task(present.leave(5.0))
    await asyncio.sleep(0)
    assert wire.said == [CONNECTED, DISCONNECTED]
    assert not leaving.done()
    wire.answer(Delivery.ACKNOWLEDGED)
    assert await leaving is True
    assert present.state is State.GONE


async def test_the_births_answer_is_not_taken_for_the_goodbyes(presence: Presence, wire: Wire) -> None:
    presence.link_up()
    leaving = asyncio.create_task(presence.leave(5.0))
    await asyncio.sleep(0)
    wire.answer(Delivery.ACKNOWLEDGED)  # the birth's
    await asyncio.sleep(0)
    assert not leaving.done()
    wire.answer(Delivery.ACKNOWLEDGED)
    assert await leaving is True


async def test_the_shadows_echo_of_the_goodbye_is_not_corrected(present: Presence, wire: Wire) -> None:
    leaving = asyncio.create_task(present.leave(5.0))
    await asyncio.sleep(0)
    wire.shadow_says(False, 9)
    wire.answer(Delivery.ACKNOWLEDGED)
    await leaving
    wire.shadow_says(False, 10)
    assert wire.said == [CONNECTED, DISCONNECTED]


async def test_goodbye_without_a_link_says_nothing(presence: Presence, wire: Wire) -> None:
    assert await presence.leave(5.0) is False
    assert wire.said == []


async def test_goodbye_that_is_cut_reports_failure(present: Presence) -> None:
    leaving = asyncio.create_task(present.leave(5.0))
    await asyncio.sleep(0)
    present.link_down()
    assert await leaving is False


async def test_goodbye_has_a_budget(present: Presence) -> None:
    assert await present.leave(0.01) is False


async def test_answers_of_an_earlier_connection_count_for_nothing(presence: Presence, wire: Wire) -> None:
    presence.link_up()
    presence.link_down()
    presence.link_up()
    wire.answer(Delivery.ACKNOWLEDGED)
    assert presence.state is State.ANNOUNCING
    wire.answer(Delivery.ACKNOWLEDGED)
    assert presence.state is State.LISTENING
