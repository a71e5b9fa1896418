"""Waiting longer after each failure: a pure generator, so that a test reads its numbers without waiting."""

from __future__ import annotations

from collections.abc import Iterator


def delays(floor_s: float, cap_s: float, factor: float = 2.0) -> Iterator[float]:
    """Yield seconds for ever: the floor first, then `factor` times the one before, never above the cap."""
    delay = floor_s
    while True:
        yield delay
        delay = min(delay * factor, cap_s)
