"""The pauses, read without waiting for them."""

from itertools import islice

from serial2iot.backoff import delays


def test_doubles_from_the_floor_to_the_cap() -> None:
    assert list(islice(delays(1, 60), 9)) == [1, 2, 4, 8, 16, 32, 60, 60, 60]
