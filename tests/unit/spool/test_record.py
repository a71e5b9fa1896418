"""Records: what goes in comes out, and what was damaged never does."""

from hypothesis import given
from hypothesis import strategies as st

from serial2iot.reading import Reading, Stamp
from serial2iot.spool.record import OVERHEAD, Context, Contexts

numbers = st.integers(-(1 << 40), 1 << 40)
stamps = st.builds(Stamp, numbers, numbers, st.text(max_size=40), st.booleans())
any_reading = st.builds(Reading, st.integers(0, 1 << 40), numbers, stamps, st.binary(max_size=200))


def knowing(reading: Reading, lane: str = "a", number: int = 1) -> Contexts:
    contexts = Contexts(lane)
    contexts.add(number, Context.of(reading))
    return contexts


@given(any_reading)
def test_what_goes_in_comes_out(reading: Reading) -> None:
    contexts = knowing(reading)
    record, sizes = contexts.encode([reading])
    assert sizes == [len(record)] == [OVERHEAD + len(reading.body)]
    assert contexts.decode([(7, record)]) == ([(7, reading)], [])


@given(any_reading, st.data())
def test_no_damage_passes(reading: Reading, data: st.DataObject) -> None:
    contexts = knowing(reading)
    record = bytearray(contexts.encode([reading])[0])
    for _ in range(data.draw(st.integers(1, 3))):
        record[data.draw(st.integers(0, len(record) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    if bytes(record) != contexts.encode([reading])[0]:
        assert contexts.decode([(7, bytes(record))]) == ([], [7])
    cut = data.draw(st.integers(0, OVERHEAD + len(reading.body) - 1))
    assert contexts.decode([(7, contexts.encode([reading])[0][:cut])]) == ([], [7])


@given(any_reading, any_reading)
def test_what_stands_behind_a_record_counts_as_well(reading: Reading, other: Reading) -> None:
    record, _ = knowing(reading).encode([reading])
    assert knowing(reading, lane="b").decode([(7, record)]) == ([], [7])
    assert knowing(reading, number=2).decode([(7, record)]) == ([], [7])
    if Context.of(other) != Context.of(reading):
        assert knowing(other).decode([(7, record)]) == ([], [7])


def test_stops_before_a_reading_that_is_far_from_what_the_context_counts_from() -> None:
    """The clock of a Raspberry Pi is in 1970 until it is set."""
    early = Reading(1, 1, Stamp(35_000, 35_000, "boot", False), b"1")
    late = Reading(1, 2, Stamp(1_763_856_000_000, 36_000, "boot", False), b"2")
    contexts = knowing(early)
    _, sizes = contexts.encode([early, late])
    assert len(sizes) == 1
    contexts.add(2, Context.of(late))
    blob, sizes = contexts.encode([late])
    assert contexts.decode([(1, blob)]) == ([(1, late)], [])


def test_equal_stamps_are_one_object() -> None:
    stamp = Stamp(1, 2, "boot", True)
    readings = [Reading(1, seq, stamp, b"x") for seq in (1, 2)]
    contexts = knowing(readings[0])
    blob, sizes = contexts.encode(readings)
    (_, first), (_, second) = contexts.decode([(1, blob[: sizes[0]]), (2, blob[sizes[0] :])])[0]
    assert first.stamp is second.stamp
