"""Readings a second, from counts."""

from serial2iot.host.rates import Rates


def test_rates_between_two_looks() -> None:
    rates = Rates()
    rates.look({"a": 100}, 10.0)
    assert (rates.of("a"), rates.total) == (0.0, 0.0), "what came before is not known to be recent"
    rates.look({"a": 150, "b": 5}, 15.0)
    assert (rates.of("a"), rates.of("b"), rates.total) == (10.0, 1.0, 11.0)
    rates.look({"a": 150, "b": 5}, 15.0)
    assert rates.total == 11.0, "no time has passed"
