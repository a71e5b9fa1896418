"""Quotas, with numbers from the AWS General Reference, "AWS IoT Core endpoints and quotas"."""

from __future__ import annotations

import random

import pytest

from serial2iot.emulator.quotas import BYTES_PER_S, PUBLISHES_PER_S, Bucket, Usage, Window, topic_too_long


def test_a_window_forgets_after_a_second_and_keeps_its_highest() -> None:
    window = Window()
    for at in (0.0, 0.1, 0.1, 0.9):
        window.add(at, 1)
    assert (window.sum_at(0.95), window.highest) == (4, 4)
    assert window.sum_at(1.0) == 3, "a full second later the first is out"
    window.add(5.0, 2)
    assert (window.sum_at(5.0), window.highest) == (2, 4)


def test_a_window_agrees_with_counting() -> None:
    chance = random.Random(4)
    window, all_of_them, now = Window(), [], 0.0
    for _ in range(2000):
        now += chance.choice((0.0, 0.001, 0.02, 0.5))
        amount = chance.randrange(1, 9)
        window.add(now, amount)
        all_of_them.append((now, amount))
        assert window.sum_at(now) == sum(each for at, each in all_of_them if at > now - 1)


def test_the_hundred_and_first_publish_of_a_second_is_discarded() -> None:
    usage = Usage()
    assert all(usage.accept(n / 1000) for n in range(PUBLISHES_PER_S))
    assert not usage.accept(0.5)
    assert not usage.accept(0.999)
    assert usage.accept(1.0), "room again for the one that was first"
    assert usage.discarded == 2


def test_bytes_beyond_the_rate_wait() -> None:
    bucket = Bucket(BYTES_PER_S, 0.0)
    assert bucket.spend(0.0, BYTES_PER_S) == 0
    assert bucket.spend(0.0, BYTES_PER_S // 2) == pytest.approx(0.5)
    assert bucket.spend(0.5, 0) == 0
    assert bucket.spend(60.0, BYTES_PER_S) == 0, "a rest is worth one second, not more"
    assert bucket.spend(60.0, BYTES_PER_S) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("topic", "too_long"),
    [
        ("a/b/c/d/e/f/g/h", False),  # seven slashes
        ("a/b/c/d/e/f/g/h/i", True),
        ("t" * 256, False),
        ("t" * 257, True),
        ("ü" * 128, False),  # bytes, not characters
        ("ü" * 129, True),
        ("$aws/rules/name/a/b/c/d/e/f/g/h", False),  # Basic Ingest: rule and prefix do not count
        ("$aws/rules/name/a/b/c/d/e/f/g/h/i", True),
        ("$aws/rules/name/" + "t" * 256, False),
    ],
)
def test_a_topic_has_seven_slashes_and_256_bytes_at_most(topic: str, too_long: bool) -> None:
    assert topic_too_long(topic) is too_long
