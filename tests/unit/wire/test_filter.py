"""Which readings are worth a message."""

from __future__ import annotations

from typing import Any

import pytest

from serial2iot.wire.filter import Filter
from serial2iot.wire.options import WireOptions


def test_a_minimum_interval() -> None:
    sparse = Filter(WireOptions(min_interval_s=10))
    times = [0, 1, 9.9, 10, 19, 20, 100, 101]
    assert [now for now in times if sparse.admit({"t": now}, now)] == [0, 10, 20, 100]


@pytest.mark.parametrize(
    ("options", "values", "admitted"),
    [
        ({"on_change": True}, [1, 1, 2, 2, 1], [1, 2, 1]),
        ({"on_change": True}, [1, None, None, 1, "x"], [1, None, 1, "x"]),
        # compared with the last one sent: slow drift is sent once it is a band wide
        ({"dead_band": {"t": 5}}, [10, 12, 14, 15, 11, 10], [10, 15, 10]),
        ({"dead_band": {"t": 5}}, [10, None, 12, "off", "off"], [10, None, 12, "off"]),
        ({"dead_band": {"t": 0}}, [1, 1, 1.5], [1, 1.5]),
    ],
)
def test_change(options: dict[str, Any], values: list[Any], admitted: list[Any]) -> None:
    changes = Filter(WireOptions(**options))
    assert [value for now, value in enumerate(values) if changes.admit({"t": value}, now)] == admitted


def test_any_other_key_counts_too() -> None:
    changes = Filter(WireOptions(dead_band={"t": 5}))
    readings: list[dict[str, Any]] = [
        {"t": 1, "n": 1},
        {"t": 2, "n": 1},
        {"t": 2, "n": 2},
        {"t": 2},
        {"t": 3},
    ]
    assert [changes.admit(values, 0.0) for values in readings] == [True, False, True, True, False]


def test_both_must_agree() -> None:
    both = Filter(WireOptions(min_interval_s=10, on_change=True))
    readings = [(0, 1), (5, 2), (10, 1), (11, 2), (12, 3)]
    assert [now for now, value in readings if both.admit({"t": value}, now)] == [0, 11]
