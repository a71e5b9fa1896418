"""Birth, will and goodbye: the table, and what is said when."""

import asyncio

import pytest

from serial2iot.cloud.delivery import Delivery
from serial2iot.cloud.options import PresenceOptions
from serial2iot.cloud.presence import CONNECTED, DISCONNECTED, TABLE, Event, Presence, State


class Wire:
    """Keeps what is published; answers when told to."""

    def __init__(self) -> None:
        self.said: list[bytes] = []
        self.waiting: list = []

    def publish(self, topic: str, payload: bytes, done) -> None:
        assert topic == "my/things/RPI/update"
        self.said.append(payload)
        self.waiting.append(done)

    def answer(self, delivery: Delivery) -> None:
        self.waiting.pop(0)(delivery)


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def presence(wire: Wire) -> Presence:
    return Presence(PresenceOptions("my/things/RPI/update"), wire.publish)


def test_every_state_that_can_be_left_has_a_way_to_gone() -> None:
    ways = {state: {to for (at, _), to in TABLE.items() if at is state} for state in State}
    for start in State:
        reached, frontier = {start}, {start}
        while frontier:
            frontier = {to for state in frontier for to in ways[state]} - reached
            reached |= frontier
        assert State.GONE in reached


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
async def test_an_illegal_move_raises_and_changes_nothing(
    presence: Presence, state: State, event: Event
) -> None:
    if (state, event) in TABLE:
        return
    presence.state = state
    with pytest.raises(ValueError, match=event.name):
        presence._step(event)
    assert presence.state is state


async def test_the_birth_is_said_before_link_up_returns(presence: Presence, wire: Wire) -> None:
    presence.link_up()
    assert wire.said == [CONNECTED]
    wire.answer(Delivery.ACKNOWLEDGED)
    assert presence.state is State.PRESENT


async def test_goodbye_waits_for_its_puback(presence: Presence, wire: Wire) -> None:
    presence.link_up()
    wire.answer(Delivery.ACKNOWLEDGED)
    leaving = asyncio.create_task(presence.leave(5.0))
    await asyncio.sleep(0)
    assert wire.said == [CONNECTED, DISCONNECTED]
    assert not leaving.done()
    wire.answer(Delivery.ACKNOWLEDGED)
    assert await leaving is True
    assert presence.state is State.GONE


async def test_goodbye_while_the_birth_is_unanswered_is_not_fooled_by_its_answer(
    presence: Presence, wire: Wire
) -> None:
    presence.link_up()
    leaving = asyncio.create_task(presence.leave(5.0))
    await asyncio.sleep(0)
    wire.answer(Delivery.ACKNOWLEDGED)  # the birth's
    await asyncio.sleep(0)
    assert not leaving.done()
    wire.answer(Delivery.ACKNOWLEDGED)
    assert await leaving is True


async def test_goodbye_without_a_link_says_nothing(presence: Presence, wire: Wire) -> None:
    assert await presence.leave(5.0) is False
    assert wire.said == []


async def test_goodbye_that_is_cut_reports_failure(presence: Presence, wire: Wire) -> None:
    presence.link_up()
    wire.answer(Delivery.ACKNOWLEDGED)
    leaving = asyncio.create_task(presence.leave(5.0))
    await asyncio.sleep(0)
    presence.link_down()
    assert await leaving is False


async def test_goodbye_has_a_budget(presence: Presence, wire: Wire) -> None:
    presence.link_up()
    assert await presence.leave(0.01) is False


async def test_answers_of_an_earlier_connection_count_for_nothing(presence: Presence, wire: Wire) -> None:
    presence.link_up()
    presence.link_down()
    presence.link_up()
    wire.answer(Delivery.ACKNOWLEDGED)
    assert presence.state is State.ANNOUNCING
    wire.answer(Delivery.ACKNOWLEDGED)
    assert presence.state is State.PRESENT


async def test_a_refused_birth_is_said_again(presence: Presence, wire: Wire, monkeypatch) -> None:
    monkeypatch.setattr("serial2iot.cloud.presence.delays", lambda floor, cap: iter([0.0] * 10))
    presence.link_up()
    wire.answer(Delivery.REFUSED)
    async with asyncio.timeout(2):
        while len(wire.said) < 2:
            await asyncio.sleep(0)
    assert wire.said == [CONNECTED, CONNECTED]
    wire.answer(Delivery.ACKNOWLEDGED)
    assert presence.state is State.PRESENT
