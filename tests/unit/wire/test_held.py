"""A framer of a later run goes on where one of an earlier run stopped, wherever that was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial2iot.wire.frame import BadFrame, Outcome
from serial2iot.wire.framing import framer
from serial2iot.wire.options import WireOptions
from tests.unit.wire.framings import FRAMINGS, streams


def good(outcomes: list[Outcome]) -> list[bytes]:
    return [each for each in outcomes if not isinstance(each, BadFrame)]


@pytest.mark.parametrize("name", FRAMINGS)
@given(data=st.data())
def test_no_good_frame_is_lost_or_made_up(name: str, data: st.DataObject) -> None:
    stream = data.draw(streams)
    cut = data.draw(st.integers(0, len(stream)))
    whole, first, second = (framer(FRAMINGS[name]) for _ in range(3))
    expected = good(whole.feed(stream, 0.0))
    seen = good(first.feed(stream[:cut], 0.0))
    held = first.held()
    second.reset(partial=held is None, now=1.0)
    seen += good(second.feed((held or b"") + stream[cut:], 1.0))
    assert seen == expected


def test_where_pauses_end_frames_it_cannot() -> None:
    framing = framer(WireOptions(framing="gap", gap_ms=20))
    framing.feed(b"abc", 0.0)
    assert framing.held() is None
