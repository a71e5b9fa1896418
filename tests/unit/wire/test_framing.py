"""Every framer: any chunking of the same bytes gives the same frames, and no byte is unaccounted for."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial2iot.wire.frame import HEAD_BYTES, BadFrame, Framer, Outcome
from serial2iot.wire.framing import framer
from serial2iot.wire.rules import check
from tests.unit.wire.framings import FRAMINGS, streams


def fed(framing: Framer, data: bytes, cuts: list[int]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    bounds = [0, *sorted(cuts), len(data)]
    for begin, end in pairwise(bounds):
        outcomes += framing.feed(data[begin:end], 0.0)
    return outcomes


@pytest.mark.parametrize("name", FRAMINGS)
@pytest.mark.parametrize("partial", [False, True])
@given(data=st.data())
def test_chunks_do_not_matter(name: str, partial: bool, data: st.DataObject) -> None:
    stream = data.draw(streams)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20))
    check(FRAMINGS[name])
    whole, pieces, bytewise = (framer(FRAMINGS[name]) for _ in range(3))
    for each in (whole, pieces, bytewise):
        each.reset(partial=partial, now=0.0)
    expected = whole.feed(stream, 0.0)
    assert fed(pieces, stream, cuts) == expected
    assert fed(bytewise, stream, list(range(len(stream)))) == expected
    assert whole.unfinished == pieces.unfinished == bytewise.unfinished


@pytest.mark.parametrize("name", FRAMINGS)
@given(stream=streams)
def test_frames_keep_their_limit_and_bad_ones_a_short_head(name: str, stream: bytes) -> None:
    options = FRAMINGS[name]
    for outcome in framer(options).feed(stream, 0.0):
        if isinstance(outcome, BadFrame):
            assert len(outcome.head) == min(outcome.size, HEAD_BYTES)
            assert outcome.head in stream or options.framing in ("cobs", "slip")
        else:
            assert len(outcome) <= options.max_frame_bytes


@pytest.mark.parametrize("name", ["fixed", "length"])
@given(stream=streams)
def test_every_byte_is_in_a_frame_or_counted_as_lost_or_waited_for(name: str, stream: bytes) -> None:
    framing = framer(FRAMINGS[name])
    sizes = [each.size if isinstance(each, BadFrame) else len(each) for each in framing.feed(stream, 0.0)]
    unfinished = framing.unfinished
    assert sum(sizes) + (unfinished.size if unfinished else 0) == len(stream)
