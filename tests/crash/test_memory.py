"""Resident memory does not grow with the backlog."""

from pathlib import Path

import pytest

from tests.crash.memory import measure


@pytest.mark.parametrize(
    "waiting", [100_000, pytest.param(300_000, marks=[pytest.mark.long, pytest.mark.timeout(300)])]
)
def test_a_backlog_takes_no_memory(waiting: int, tmp_path: Path) -> None:
    without, having = measure(tmp_path, 0), measure(tmp_path, waiting)
    more = (having["resident"] - without["resident"]) / 2**20
    print(f"{waiting} readings waiting: {more:.1f} MiB more than none; drained at {having['cost_us']:.1f} us")
    assert having["waiting"] > waiting * 0.6
    assert more < 5
