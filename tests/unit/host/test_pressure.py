"""A backlog that grows because of the quota is told, and no other."""

from serial2iot.host.pressure import SURE_S, Look, Pressure


def looks(pressure: Pressure, begin: float, count: int, *, grows: float, held: bool = True, rate: float = 95):
    """Look every 5 s; what was told."""
    told = []
    for step in range(count):
        at = begin + 5.0 * step
        look = Look(at, held, int(1000 + grows * (at - begin)), {"a": int(rate * at), "b": int(at)})
        told.append(pressure.look(look, "single"))
    return [each for each in told if each]


def test_it_is_told_once_with_rates_and_remedy() -> None:
    pressure = Pressure()
    [told] = looks(pressure, 0.0, 20, grows=6)
    assert told.port == "a"
    assert (round(told.port_rate), round(told.rate), round(told.leaves)) == (95, 96, 90)
    assert "batch" in told.hint
    assert pressure.outrun is not None


def test_not_before_it_is_sure() -> None:
    assert looks(Pressure(), 0.0, int(SURE_S / 5), grows=6) == []


def test_a_backlog_that_shrinks_or_waits_for_something_else_is_none() -> None:
    assert looks(Pressure(), 0.0, 20, grows=-6) == []
    assert looks(Pressure(), 0.0, 20, grows=6, held=False) == []


def test_it_is_over_and_may_come_again() -> None:
    pressure = Pressure()
    assert looks(pressure, 0.0, 10, grows=6)
    looks(pressure, 50.0, 10, grows=-6)
    assert pressure.outrun is None
    assert looks(pressure, 100.0, 10, grows=6)
    looks(pressure, 150.0, 1, grows=6, held=False)
    assert pressure.outrun is None
