"""One port's bytes to encoded readings, and what is counted on the way."""

from __future__ import annotations

import json
from typing import Any

from serial2iot.counters import WireCounts
from serial2iot.reading import Values
from serial2iot.wire.frame import BadFrame
from serial2iot.wire.options import WireOptions
from serial2iot.wire.pipeline import Pipeline
from tests.unit.wire.wiring import carried


def test_every_frame_is_a_reading_or_counted() -> None:
    pipeline = Pipeline(WireOptions(max_frame_bytes=40))
    sent = b'{"t":1}\r\nhello\r\n{"t":nan}\r\n\r\n{}\r\nt,h\r\n1,2\r\n' + b"x" * 50 + b"\n{\n"
    bodies, bad = pipeline.feed(sent, now=0.0)
    assert bodies == [b'{"t":1}', b'{"t":null}', b'{"t":1,"h":2}']
    assert [(frame.reason, frame.size) for frame in bad] == [
        ("not_understood", 5),
        ("too_long", 50),
        ("not_json", 1),
    ]
    assert pipeline.counts == WireCounts(
        bytes=len(sent),
        nulled=1,
        bad_frames={"not_understood": 1, "too_long": 1, "not_json": 1},  # type: ignore[arg-type]
    )


def test_bad_frames_among_json_do_not_stop_what_follows() -> None:
    # JSON at the front of a chunk takes the short way; whatever else is in it must still be understood.
    pipeline = Pipeline(WireOptions(max_frame_bytes=40))
    sent = b'{"t":1}\n[1]\n' + b"x" * 50 + b'\nt:2\n\xff\n{"t":3}\n4\n'
    assert carried(pipeline, sent) == [
        *({"t": 1}, {"t": 2}, {"t": 3}, {"value": 4}),
        *("not_understood", "too_long", "not_utf8"),
    ]


def test_transform_and_filter_are_in_the_way_and_the_books() -> None:
    options = WireOptions(
        rename={"temp": "t"}, keep=frozenset({"t"}), scale={"t": 0.1}, min_interval_s=10, dead_band={"t": 1}
    )
    pipeline = Pipeline(options)
    assert carried(pipeline, b'{"temp":230,"x":1}\n', now=0.0) == [{"t": 23.0}]
    assert carried(pipeline, b'{"temp":280}\n', now=5.0) == []  # too soon
    assert carried(pipeline, b'{"temp":235}\n', now=15.0) == []  # moved too little
    assert carried(pipeline, b'{"x":1}\n', now=30.0) == []  # nothing to keep
    assert carried(pipeline, b'{"temp":280}\n', now=40.0) == [{"t": 28.0}]
    assert pipeline.counts.filtered == 3


def test_nulls_of_decoding_and_of_scaling_are_counted_once() -> None:
    pipeline = Pipeline(WireOptions(scale={"t": 1e300}))
    for _ in range(2):
        assert carried(pipeline, b'{"t":1e300,"h":nan}\n') == [{"t": None, "h": None}]
    assert pipeline.counts.nulled == 4


def test_an_observer_sees_every_reading_as_published_also_filtered_ones() -> None:
    seen: list[Values] = []
    options = WireOptions(rename={"temp": "t"}, on_change=True)
    pipeline = Pipeline(options, observe=seen.append)
    assert len(carried(pipeline, b'{"temp":1}\n{"temp":1}\nhello\n{"temp":2}\n')) == 3
    assert seen == [{"t": 1}, {"t": 1}, {"t": 2}]


def test_a_claimed_frame_is_neither_reading_nor_bad() -> None:
    # A board's answer to a command is a line like any other.
    pipeline = Pipeline(WireOptions(), claim=lambda frame: frame.startswith(b"OK "))
    assert carried(pipeline, b'OK LED on\n{"t":1}\nhello\n') == [{"t": 1}, "not_understood"]
    assert pipeline.counts.bad_frames == {"not_understood": 1}


def test_reset_counts_what_is_cut_off_and_forgets_names() -> None:
    counts = WireCounts()
    pipeline = Pipeline(WireOptions(), counts)
    carried(pipeline, b"t,h\n1,2\n3,")
    assert pipeline.unfinished == BadFrame("cut_off", 2, b"3,")
    pipeline.reset(partial=True, now=10.0)
    assert pipeline.unfinished is None
    assert counts.bad_frames == {"cut_off": 1}
    assert carried(pipeline, b"4\n3,4\n", now=10.0) == [{"value1": 3, "value2": 4}, "partial"]
    pipeline.reset(partial=False, now=11.0)
    assert carried(pipeline, b"5\n", now=11.0) == [{"value": 5}]


def test_idle_gap_needs_somebody_to_tell_the_time() -> None:
    pipeline = Pipeline(WireOptions(framing="gap", gap_ms=50, decode="text"))
    assert pipeline.due is None
    assert carried(pipeline, b"hello", now=1.0) == []
    assert pipeline.due == 1.05
    assert pipeline.flush(now=1.02).bodies == []
    assert pipeline.flush(now=1.05).bodies == [b'{"value":"hello"}']
    assert Pipeline(WireOptions()).due is None
    assert Pipeline(WireOptions()).flush(now=1.0) == ([], [])


def test_what_is_published_is_one_line_of_utf_8() -> None:
    body = Pipeline(WireOptions()).feed('{"name":"Küche\\n😀","t":1e2}\n'.encode(), now=0.0).bodies[0]
    assert b"\n" not in body
    parsed: dict[str, Any] = json.loads(body)
    assert parsed == {"name": "Küche\n😀", "t": 100.0}
