"""The ladder that a silent line climbs."""

from __future__ import annotations

from itertools import pairwise

from serial2iot.port.silence import Remedy, Silence


def climbed(silence: Silence, until: int) -> list[tuple[int, Remedy]]:
    """What is done at which second, asked every second."""
    done = ((second, silence.climb(float(second))) for second in range(until))
    return [(second, remedy) for second, remedy in done if remedy]


def test_reopen_and_pulse_by_turns_ever_later() -> None:
    assert climbed(Silence(10, 0.0), 200) == [
        (10, Remedy.REOPEN),
        (20, Remedy.PULSE_DTR),
        (40, Remedy.REOPEN),
        (80, Remedy.PULSE_DTR),
        (160, Remedy.REOPEN),
    ]


def test_never_more_than_an_hour_apart() -> None:
    at = [second for second, _ in climbed(Silence(600, 0.0), 40_000)]
    assert max(later - sooner for sooner, later in pairwise(at)) == 3600


def test_silence_is_normal_unless_it_is_configured() -> None:
    silence = Silence(0, 0.0)
    assert silence.due is None
    assert climbed(silence, 100_000) == []


def test_a_byte_ends_it_and_the_next_silence_begins_at_the_bottom() -> None:
    silence = Silence(10, 0.0)
    climbed(silence, 25)
    assert silence.lasted_s(25.0) == 25
    assert silence.heard(25.0), "news"
    assert not silence.heard(26.0), "no news"
    assert silence.climb(35.0) is None
    assert silence.climb(36.0) is Remedy.REOPEN


def test_a_device_that_was_away_was_not_silent() -> None:
    silence = Silence(10, 0.0)
    silence.wait(100.0)
    assert silence.climb(105.0) is None
    silence.climb(110.0)
    silence.wait(112.0)  # opened anew, because it is silent
    assert silence.climb(120.0) is Remedy.PULSE_DTR
