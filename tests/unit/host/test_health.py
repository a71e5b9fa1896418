"""A part that no longer comes round is named."""

from serial2iot.host.health import PATIENCE_S, Health


def test_only_the_part_that_stopped_beating_hangs() -> None:
    now = 0.0
    health = Health(lambda: now)
    reader, _ = health.beat_of("reader"), health.beat_of("publisher")
    assert health.hanging() == []
    now = PATIENCE_S + 1
    reader()
    assert health.hanging() == ["publisher"]


def test_a_part_that_left_is_not_waited_for() -> None:
    now = 0.0
    health = Health(lambda: now)
    health.beat_of("port gps")
    health.leave("port gps")
    health.leave("port gps")
    now = PATIENCE_S + 1
    assert health.hanging() == []
