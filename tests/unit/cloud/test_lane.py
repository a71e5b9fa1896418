"""A lane whose topic or layout is changed while messages are under way."""

import pytest

from serial2iot.cloud.delivery import Delivery
from serial2iot.cloud.diagnosis import LinkLoss
from serial2iot.cloud.lane import Lanes
from serial2iot.cloud.options import TelemetryOptions
from serial2iot.cloud.suspicion import Standing
from serial2iot.reading import Reading, Stamp
from serial2iot.spool.contract import SpoolOptions
from serial2iot.spool.memory import MemorySpool

HANG_UP = LinkLoss("ended", "", "AWS_ERROR_MQTT_UNEXPECTED_HANGUP")
OLD = TelemetryOptions("RPI", "old/{port}", limits="none")
NEW = TelemetryOptions("RPI", "new/{port}", layout="batch", limits="none")


@pytest.fixture
def spool() -> MemorySpool:
    spool = MemorySpool(SpoolOptions())
    spool.append("a", *[Reading(1, seq, Stamp(0, 0, "boot", True), b"{}") for seq in (1, 2, 3, 4)])
    return spool


def lanes() -> Lanes:
    return Lanes(OLD, lambda stamp: (stamp.wall_ms, False))


def test_from_then_on_messages_are_of_the_new_kind(spool: MemorySpool) -> None:
    both = lanes()
    first, _ = both.of("a").take(spool)
    both.change(NEW)
    second, _ = both.of("a").take(spool)
    assert (first.topic, len(first.ids)) == ("old/a", 1)
    assert (second.topic, len(second.ids)) == ("new/a", 3)
    assert both.of("b").topic == "new/b"


def test_an_answer_about_the_old_topic_says_nothing_of_the_new_one(spool: MemorySpool) -> None:
    both = lanes()
    lane = both.of("a")
    message, _ = lane.take(spool)
    both.change(NEW)
    assert lane.answered(message, Delivery.REFUSED, 0.0, alone=False) == {}
    assert both.cut([message], HANG_UP, 0.0, alone=False) == {}
    assert lane.standing is Standing.CLEAR


def test_a_refused_topic_stays_refused_unless_it_is_another_one(spool: MemorySpool) -> None:
    both = lanes()
    lane = both.of("a")
    message, _ = lane.take(spool)
    lane.answered(message, Delivery.REFUSED, 0.0, alone=False)
    both.change(TelemetryOptions("RPI", "old/{port}", layout="batch", limits="none"))
    assert lane.standing is Standing.REFUSED
    both.change(NEW)
    assert lane.standing is Standing.CLEAR
