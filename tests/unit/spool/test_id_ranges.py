"""Sets of ids: nothing is forgotten, nothing is added, and order costs no memory."""

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from serial2iot.spool.id_ranges import IdRanges


@given(st.lists(st.sets(st.integers(0, 400), max_size=60)))
def test_takes_out_what_was_put_in(groups: list[set[int]]) -> None:
    ranges = IdRanges()
    for group in groups:
        ranges.add(sorted(group))
    expected = set().union(*groups)
    assert bool(ranges) == bool(expected)
    runs = ranges.take()
    assert [id for first, last in runs for id in range(first, last + 1)] == sorted(expected)
    assert all(after[0] > before[1] + 1 for before, after in pairwise(runs))
    assert not ranges
    assert ranges.take() == []


def test_a_million_in_order_or_nearly_are_few_runs() -> None:
    ranges = IdRanges()
    dice = random.Random(1)
    for first in range(0, 1_000_000, 6_400):
        pieces = [range(at, at + 64) for at in range(first, first + 6_400, 64)]
        dice.shuffle(pieces)
        for piece in pieces:
            ranges.add(piece)
        assert len(ranges._runs) < 600
    assert len(ranges.take()) == 1
