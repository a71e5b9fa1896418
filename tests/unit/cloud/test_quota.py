"""The token buckets: full use of the quota, and never more."""

import pytest

from serial2iot.cloud.quota import BYTES_PER_S, PUBLISHES_PER_S, NoQuota, Quota


def send_for(seconds: float, size: int, step: float = 0.001) -> list[float]:
    """The times at which messages of one size may go, tried every `step` seconds."""
    quota, sent, tick = Quota(), [], 0
    while (now := tick * step) < seconds:
        while quota.wait(size, now) == 0.0:
            quota.charge(size, now)
            sent.append(now)
        tick += 1
    return sent


def busiest_second(times: list[float]) -> int:
    return max(sum(1 for t in times if start <= t < start + 1.0) for start in times)


@pytest.mark.parametrize("size", [100, 5_000, 8_000, 20_000, 60_000, 95_000, 100_000])
def test_uses_85_to_95_percent_of_what_binds_and_no_second_goes_above(size: int) -> None:
    seconds = 20.0
    sent = send_for(seconds, size)
    share = max(len(sent) / seconds / PUBLISHES_PER_S, len(sent) * size / seconds / BYTES_PER_S)
    assert 0.85 <= share <= 0.95
    assert busiest_second(sent) <= PUBLISHES_PER_S
    assert busiest_second(sent) * size <= BYTES_PER_S


@pytest.mark.parametrize("size", [88_000, 94_000, 105_000, 110_000, 131_000])
def test_batches_larger_than_the_bucket_keep_every_second_below_the_quota(size: int) -> None:
    sent = send_for(20.0, size)
    assert busiest_second(sent) * size <= BYTES_PER_S
    assert len(sent) * size / 20.0 / BYTES_PER_S > 0.7, "one more would not fit into a second"


def test_what_comes_in_is_charged_too() -> None:
    quota = Quota()
    for _ in range(60):
        quota.charge(10, 0.0)
    assert quota.wait(10, 0.0) == pytest.approx(51 / 90)


def test_a_message_larger_than_the_bucket_goes_when_the_bucket_is_full() -> None:
    quota = Quota()
    assert quota.wait(128 * 1024, 0.0) == 0.0
    quota.charge(128 * 1024, 0.0)
    assert quota.wait(1, 0.0) > 0.1


def test_a_clock_that_stands_still_gives_nothing_away() -> None:
    quota = Quota()
    for _ in range(10):
        quota.charge(10, 5.0)
    assert quota.wait(10, 5.0) > 0
    assert quota.wait(10, 4.0) > 0


def test_no_quota_never_waits() -> None:
    quota = NoQuota()
    for _ in range(1000):
        quota.charge(10_000, 0.0)
    assert quota.wait(10_000, 0.0) == 0.0
