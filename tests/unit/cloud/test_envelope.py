"""What a telemetry message looks like, to the letter."""

import json

from serial2iot.cloud.envelope import Envelope
from serial2iot.reading import Reading, Stamp

AT = Stamp(1_763_856_000_123, 5_000, "b", True)


def envelope() -> Envelope:
    return Envelope("RPI", "arduino", lambda stamp: (stamp.wall_ms, not stamp.trusted))


def reading(seq: int, body: bytes = b'{"t":23.4,"h":55}', run: int = 7, stamp: Stamp = AT) -> Reading:
    return Reading(run, seq, stamp, body)


def test_single_is_to_the_letter() -> None:
    assert envelope().single(reading(1042)) == (
        b'{"thing":"RPI","port":"arduino","run":7,"seq":1042,"time":1763856000123,"values":{"t":23.4,"h":55}}'
    )


def test_batch_is_to_the_letter() -> None:
    payload, count = envelope().batch([reading(1), reading(2)], room=1000)
    assert count == 2
    assert payload == (
        b'{"thing":"RPI","port":"arduino","run":7,"readings":['
        b'{"seq":1,"time":1763856000123,"values":{"t":23.4,"h":55}},'
        b'{"seq":2,"time":1763856000123,"values":{"t":23.4,"h":55}}]}'
    )


def test_a_batch_fills_its_room_and_never_exceeds_it() -> None:
    readings = [reading(seq) for seq in range(1, 100)]
    for room in range(200, 2000, 7):
        payload, count = envelope().batch(readings, room)
        assert len(payload) <= room
        _, more = envelope().batch(readings[: count + 1], 10_000)
        assert more == count + 1
        assert len(envelope().batch(readings[: count + 1], 10_000)[0]) > room


def test_a_reading_larger_than_the_room_goes_alone() -> None:
    payload, count = envelope().batch([reading(1, b'"%s"' % (b"x" * 500)), reading(2)], room=200)
    assert count == 1
    assert len(json.loads(payload)["readings"][0]["values"]) == 500


def test_a_batch_holds_one_run_only() -> None:
    payload, count = envelope().batch([reading(5, run=6), reading(1, run=7)], room=1000)
    assert count == 1
    assert json.loads(payload)["run"] == 6


def test_an_estimated_time_says_so() -> None:
    guess = reading(1, stamp=AT._replace(trusted=False))
    assert json.loads(envelope().single(guess))["time_quality"] == "estimated"
    entries = json.loads(envelope().batch([guess, reading(2)], 1000)[0])["readings"]
    assert [entry.get("time_quality") for entry in entries] == ["estimated", None]


def test_names_are_escaped() -> None:
    odd = Envelope('R"PI', "100%d", lambda stamp: (stamp.wall_ms, False))
    message = json.loads(odd.single(reading(1)))
    assert (message["thing"], message["port"]) == ('R"PI', "100%d")
