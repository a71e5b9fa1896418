"""Frames made by silence."""

from __future__ import annotations

from serial2iot.wire.frame import HEAD_BYTES, BadFrame
from serial2iot.wire.gap import GapFramer


def test_bytes_without_a_pause_belong_together() -> None:
    gap = GapFramer(0.05, limit=100)
    assert gap.due is None
    assert gap.feed(b"ab", now=1.00) == []
    assert gap.feed(b"cd", now=1.04) == []
    assert gap.due == 1.04 + 0.05
    assert gap.flush(now=1.08) == []  # too early
    assert gap.flush(now=1.10) == [b"abcd"]
    assert gap.due is None


def test_bytes_after_the_pause_end_the_frame_too() -> None:
    gap = GapFramer(0.05, limit=100)
    gap.feed(b"ab", now=1.0)
    assert gap.feed(b"cd", now=1.05) == [b"ab"]


def test_what_never_pauses_is_counted_once_it_does() -> None:
    gap = GapFramer(0.05, limit=100)
    for step in range(1000):
        assert gap.feed(b"x" * 50, now=step * 0.01) == []
    assert gap.flush(now=11.0) == [BadFrame("too_long", 50_000, b"x" * HEAD_BYTES)]
    gap.feed(b"ok", now=12.0)
    assert gap.flush(now=12.1) == [b"ok"]


def test_after_open_the_first_frame_is_believed_only_after_a_pause() -> None:
    gap = GapFramer(0.05, limit=100)
    gap.reset(partial=True, now=0.0)
    gap.feed(b"cd", now=0.01)
    assert gap.feed(b"efgh", now=0.1) == [BadFrame("partial", 2, b"cd")]
    assert gap.flush(now=0.2) == [b"efgh"]

    gap.reset(partial=True, now=1.0)
    gap.feed(b"abcd", now=1.06)
    assert gap.flush(now=2.0) == [b"abcd"]
