"""The publisher against a hostile session: late answers, refusals, cuts, in any order."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable

import pytest

from serial2iot.cloud.delivery import Delivery
from serial2iot.cloud.diagnosis import LinkLoss
from serial2iot.cloud.lane import Lanes
from serial2iot.cloud.options import TelemetryOptions
from serial2iot.cloud.publisher import Publisher
from serial2iot.cloud.quota import MAX_IN_FLIGHT, NoQuota
from serial2iot.cloud.suspicion import Standing
from serial2iot.reading import Reading, Stamp
from serial2iot.spool.contract import SpoolOptions
from serial2iot.spool.memory import MemorySpool

HANG_UP = LinkLoss("ended", "", "AWS_ERROR_MQTT_UNEXPECTED_HANGUP")
SILENCE = LinkLoss("silent", "", "AWS_ERROR_MQTT5_PING_RESPONSE_TIMEOUT")
TOO_LARGE = LinkLoss("too large", "", "", 0x95)


class Bench:
    """A publisher, its spool, and the broker's side in the test's hands."""

    def __init__(self, layout: str = "single", **options: object) -> None:
        self.spool = MemorySpool(SpoolOptions(), wake=lambda: self.publisher.wake())
        telemetry = TelemetryOptions("RPI", "t/{port}", layout=layout, limits="none", **options)
        self.lanes = Lanes(telemetry, lambda stamp: (stamp.wall_ms, False))
        self.now_ms = 0
        self.publisher = Publisher(self.spool, self.lanes, self._publish, NoQuota(), now=self.stamp)
        self.sent: list[tuple[str, list[int]]] = []
        self.open: list[tuple[str, list[int], Callable[[Delivery], None]]] = []
        self.seqs: dict[str, int] = {}
        self.largest = 0  # message so far, in bytes of topic and payload

    def stamp(self) -> Stamp:
        return Stamp(self.now_ms, self.now_ms, "boot", True)

    def _publish(self, topic: str, payload: bytes, done: Callable[[Delivery], None]) -> None:
        message = json.loads(payload)
        self.largest = max(self.largest, len(topic) + len(payload))
        seqs = [entry["seq"] for entry in message.get("readings", [message])]
        self.sent.append((message["port"], seqs))
        self.open.append((message["port"], seqs, done))

    def arrive(self, count: int, port: str = "arduino") -> None:
        first = self.seqs.get(port, 0) + 1
        self.seqs[port] = first + count - 1
        body = b'{"value":1}'
        self.spool.append(port, *[Reading(1, seq, self.stamp(), body) for seq in range(first, first + count)])

    async def settle(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)

    async def answer(self, delivery: Delivery, which: int = 0) -> None:
        self.open.pop(which)[2](delivery)
        await self.settle()

    async def cut(self, loss: LinkLoss) -> None:
        self.open.clear()
        self.publisher.link_down(loss)
        await self.settle()
        self.publisher.link_up()
        await self.settle()

    async def acknowledge_all(self) -> None:
        while self.open:
            await self.answer(Delivery.ACKNOWLEDGED)

    def books(self, port: str = "arduino"):
        return self.spool.lanes()[port]


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., Bench]]:
    tasks: list[asyncio.Task[None]] = []

    def build(**options: object) -> Bench:
        bench = Bench(**options)
        tasks.append(asyncio.create_task(bench.publisher.run()))
        return bench

    yield build
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def bench(make) -> Bench:
    bench = make()
    bench.publisher.link_up()
    await bench.settle()
    return bench


async def test_nothing_is_sent_while_there_is_no_link(make) -> None:
    bench = make()
    bench.arrive(3)
    await bench.settle()
    assert bench.sent == []
    assert bench.publisher.mode == "offline"
    bench.publisher.link_up()
    await bench.settle()
    assert [seqs for _, seqs in bench.sent] == [[1], [2], [3]]
    assert bench.publisher.mode == "live"


async def test_a_reading_leaves_the_spool_only_by_a_good_puback(bench: Bench) -> None:
    bench.arrive(1)
    await bench.settle()
    assert (bench.books().acknowledged, bench.books().waiting) == (0, 1)
    await bench.answer(Delivery.ACKNOWLEDGED)
    assert (bench.books().acknowledged, bench.books().waiting) == (1, 0)


async def test_nobody_listens_is_a_success(bench: Bench) -> None:
    bench.arrive(1)
    await bench.settle()
    await bench.answer(Delivery.UNHEARD)
    assert bench.books().acknowledged == 1


async def test_in_flight_is_capped(bench: Bench) -> None:
    bench.arrive(500)
    await bench.settle()
    assert len(bench.open) == MAX_IN_FLIGHT < 100
    await bench.acknowledge_all()
    assert bench.books().acknowledged == 500
    assert [seqs[0] for _, seqs in bench.sent] == list(range(1, 501)), "first sent in order"


async def test_what_was_in_flight_when_the_link_went_is_sent_again(bench: Bench) -> None:
    bench.arrive(3)
    await bench.settle()
    await bench.answer(Delivery.ACKNOWLEDGED, which=1)
    await bench.cut(SILENCE)
    assert bench.sent[3:] == [("arduino", [1]), ("arduino", [3])]
    await bench.acknowledge_all()
    assert bench.books().acknowledged == 3
    assert bench.books().balanced


async def test_a_late_answer_of_an_old_connection_proves_nothing(bench: Bench) -> None:
    bench.arrive(1)
    await bench.settle()
    late = bench.open[0][2]
    await bench.cut(SILENCE)
    late(Delivery.ACKNOWLEDGED)
    await bench.settle()
    assert bench.books().acknowledged == 0
    await bench.acknowledge_all()
    assert bench.books().acknowledged == 1


async def test_a_batch_waits_until_it_is_full_or_old(make) -> None:
    bench = make(layout="batch", max_readings=4, max_age_s=1.0)
    bench.publisher.link_up()
    bench.arrive(3)
    await bench.settle()
    assert bench.sent == []
    bench.arrive(2)
    await bench.settle()
    assert bench.sent == [("arduino", [1, 2, 3, 4])]
    bench.now_ms = 1000
    bench.publisher.wake()
    await bench.settle()
    assert bench.sent[1:] == [("arduino", [5])]


async def test_a_batch_closes_by_its_bytes(make) -> None:
    bench = make(layout="batch", max_readings=1000, max_bytes=400)
    bench.publisher.link_up()
    bench.arrive(100)
    await bench.settle()
    assert bench.sent[0][1] == list(range(1, 9)), "eight readings fit, nine do not"
    assert bench.largest <= 400


async def test_a_hang_up_makes_the_next_reading_travel_alone(bench: Bench) -> None:
    bench.arrive(5)
    await bench.settle()
    await bench.cut(HANG_UP)
    assert bench.sent[5:] == [("arduino", [1])]
    await bench.answer(Delivery.ACKNOWLEDGED)
    assert bench.sent[6:] == [("arduino", [seq]) for seq in (2, 3, 4, 5)]


async def test_poison_is_set_aside_and_nothing_else(bench: Bench) -> None:
    bench.arrive(5)
    await bench.settle()
    for _ in range(20):
        if bench.open and bench.open[0][1] == [2]:
            await bench.cut(HANG_UP)  # the broker hangs up whenever it sees reading 2
        elif any(seqs == [2] for _, seqs, _ in bench.open):
            await bench.cut(HANG_UP)
        elif bench.open:
            await bench.answer(Delivery.ACKNOWLEDGED)
    assert bench.books().acknowledged == 4
    assert dict(bench.books().dropped) == {"poison": 1}
    assert bench.books().balanced


async def test_a_refused_policy_never_empties_the_spool(bench: Bench) -> None:
    bench.arrive(50)
    await bench.settle()
    for _ in range(200):  # every publish is answered with a hang-up, as AWS does
        if bench.open:
            await bench.cut(HANG_UP)
    assert bench.lanes.of("arduino").standing is Standing.REFUSED
    assert bench.books().waiting == 50
    assert not bench.books().dropped


async def test_one_refused_topic_does_not_hold_up_another(bench: Bench) -> None:
    bench.arrive(3, "refused")
    await bench.settle()
    await bench.answer(Delivery.REFUSED)
    while bench.open:
        await bench.answer(Delivery.REFUSED)
    bench.arrive(40, "good")
    await bench.settle()
    await bench.acknowledge_all()
    assert bench.books("good").acknowledged == 40
    assert bench.books("refused").waiting == 3
    assert not bench.books("refused").dropped


async def test_a_reading_that_the_server_calls_invalid_alone_is_set_aside(bench: Bench) -> None:
    bench.arrive(2)
    await bench.settle()
    await bench.cut(TOO_LARGE)  # two in flight: which of them?
    assert not bench.books().dropped
    await bench.cut(TOO_LARGE)  # now it was alone
    assert dict(bench.books().dropped) == {"invalid": 1}
    await bench.acknowledge_all()
    assert bench.books().acknowledged == 1


async def test_a_reading_too_large_for_any_message_is_dropped_and_counted(bench: Bench) -> None:
    bench.spool.append("arduino", Reading(1, 1, bench.stamp(), b'{"value":"%s"}' % (b"x" * 140_000)))
    bench.seqs["arduino"] = 1
    bench.arrive(1)
    await bench.settle()
    assert bench.sent == [("arduino", [2])]
    assert dict(bench.books().dropped) == {"too_large": 1}


@pytest.mark.parametrize("answer", [Delivery.QUOTA, Delivery.TIMED_OUT, Delivery.FAILED])
async def test_too_fast_slows_down_and_keeps_the_reading(bench: Bench, answer: Delivery, monkeypatch) -> None:
    monkeypatch.setattr("serial2iot.cloud.publisher.time.monotonic", lambda: clock[0])
    clock = [100.0]
    bench.arrive(2)
    await bench.settle()
    await bench.answer(answer)
    assert [port for port, seqs in bench.sent[2:]] == [], "it pauses"
    clock[0] += 1.1
    bench.publisher.wake()
    await bench.settle()
    assert bench.sent[2:] == [("arduino", [1])]
    await bench.acknowledge_all()
    assert bench.books().acknowledged == 2


async def test_many_answers_of_one_hang_slow_down_once(bench: Bench, monkeypatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("serial2iot.cloud.publisher.time.monotonic", lambda: clock[0])
    bench.arrive(20)
    await bench.settle()
    for _ in range(20):
        await bench.answer(Delivery.TIMED_OUT)
    clock[0] += 1.1  # the first pause, not the twentieth
    bench.publisher.wake()
    await bench.settle()
    await bench.acknowledge_all()
    assert bench.books().acknowledged == 20


async def test_drain_waits_for_pubacks_and_leaves_the_rest_in_the_spool(make) -> None:
    bench = make(layout="batch", max_readings=10, max_age_s=60.0)
    bench.publisher.link_up()
    bench.arrive(13)
    await bench.settle()
    bench.publisher.drain(5.0)
    await bench.settle()
    assert [len(seqs) for _, seqs in bench.sent] == [10, 3], "what would have waited for company goes now"
    assert bench.publisher.mode == "draining"
    await bench.acknowledge_all()
    assert bench.publisher.mode == "ended"
    assert bench.books().acknowledged == 13


async def test_a_second_signal_cuts_the_drain_short(bench: Bench) -> None:
    bench.arrive(3)
    await bench.settle()
    bench.publisher.drain(60.0)
    await bench.settle()
    assert bench.publisher.mode == "draining"
    bench.publisher.drain(0.0)
    await bench.settle()
    assert bench.publisher.mode == "ended"
    assert bench.spool.ready("arduino").readings == 3, "given back, not forgotten"


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_the_broker_does_nothing_is_lost_and_the_books_balance(make, seed: int) -> None:
    chance = random.Random(seed)
    bench = make(layout=chance.choice(["single", "batch"]), max_age_s=0.0)
    bench.publisher.link_up()
    heard: dict[str, set[int]] = {"a": set(), "b": set()}
    for _ in range(300):
        bench.arrive(chance.randrange(3), chance.choice("ab"))
        await bench.settle()
        if bench.open and chance.random() < 0.7:
            which = chance.randrange(len(bench.open))
            port, seqs, _ = bench.open[which]
            heard[port].update(seqs)
            await bench.answer(Delivery.ACKNOWLEDGED, which)
        elif chance.random() < 0.2:
            await bench.cut(SILENCE)
        assert all(books.balanced for books in bench.spool.lanes().values())
    await bench.acknowledge_all()
    for port, books in bench.spool.lanes().items():
        assert books.acknowledged == bench.seqs[port]
