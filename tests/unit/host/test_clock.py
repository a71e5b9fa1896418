"""Honest time: stamps that are right in the end, whatever the clock did."""

import pytest

from serial2iot import RELEASED_AT
from serial2iot.host.clock import Clock, boot_id

NOW = RELEASED_AT + 1_000.0


class Time:
    """A wall clock and a monotonic clock in the test's hands."""

    def __init__(self, wall: float, monotonic: float = 50.0) -> None:
        self.wall, self.monotonic = wall, monotonic
        self.answer: bool | None = False

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    def clock(self, boot: str = "this") -> Clock:
        async def ask() -> bool | None:
            return self.answer

        return Clock(boot, wall=lambda: self.wall, monotonic=lambda: self.monotonic, ask=ask)


async def test_a_reading_of_1970_is_stamped_right_once_ntp_has_answered() -> None:
    time = Time(wall=12.0)
    clock = time.clock()
    await clock.look()
    early = clock.stamp()
    assert not early.trusted
    time.pass_by(30.0)
    time.wall, time.answer = NOW, True  # NTP steps the clock 30 s after the reading
    await clock.look()
    assert clock.wall_time(early) == (int((NOW - 30.0) * 1000), False)


@pytest.mark.parametrize("step", [-7200.0, 7200.0])
async def test_a_right_stamp_does_not_move_when_the_clock_is_stepped(step: float) -> None:
    time = Time(wall=NOW)
    time.answer = True
    clock = time.clock()
    await clock.look()
    stamp = clock.stamp()
    time.wall += step
    assert clock.wall_time(stamp) == (int(NOW * 1000), False)


async def test_before_ntp_the_time_is_an_estimate_and_says_so() -> None:
    clock = Time(wall=NOW).clock()
    await clock.look()
    assert clock.wall_time(clock.stamp()) == (int(NOW * 1000), True)


async def test_an_earlier_boot_that_never_had_the_time_keeps_its_estimate() -> None:
    before = Time(wall=12.0).clock(boot="earlier")
    await before.look()
    time = Time(wall=NOW)
    time.answer = True
    clock = time.clock()
    await clock.look()
    assert clock.wall_time(before.stamp()) == (12_000, True)


async def test_where_nobody_keeps_the_clock_it_is_believed() -> None:
    time = Time(wall=NOW)
    time.answer = None
    clock = time.clock()
    await clock.look()
    assert clock.wall_time(clock.stamp()) == (int(NOW * 1000), False)


async def test_sane_is_later_than_the_release_and_the_certificate() -> None:
    assert not Time(wall=12.0).clock().sane()
    assert Time(wall=NOW).clock().sane(not_before=NOW - 1)
    assert not Time(wall=NOW).clock().sane(not_before=NOW + 1)


def test_the_boot_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERIAL2IOT_BOOT_ID", "0a1b-2c")
    assert boot_id() == "0a1b2c"
    monkeypatch.delenv("SERIAL2IOT_BOOT_ID")
    assert len(boot_id()) == 32


async def test_a_clock_of_1970_is_not_believed_where_nobody_keeps_the_time() -> None:
    time = Time(wall=12.0)
    time.answer = None
    clock = time.clock()
    await clock.look()
    early = clock.stamp()
    assert not early.trusted
    time.pass_by(30.0)
    time.wall = NOW  # somebody has set it by hand
    await clock.look()
    assert clock.wall_time(early) == (int((NOW - 30.0) * 1000), False)
