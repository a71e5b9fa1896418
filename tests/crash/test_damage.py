"""Damaged databases: the spool starts every time, and hands out nothing that was not appended."""

import random
import tempfile
from pathlib import Path

import pytest

from tests.crash.damage import MEMORY, break_often


@pytest.mark.parametrize("cases", [80, pytest.param(500, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_starts_and_invents_nothing(cases: int) -> None:
    seed = 3 if cases < 1000 else random.randrange(1 << 30)
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as scratch:
        figures = break_often(cases, seed, Path(scratch))
    salvaged = {what: figure for what, figure in figures.items() if figure["replaced"]}
    print(f"{cases} damaged databases (seed {seed}): all started, 0 foreign readings")
    assert sum(figure["cases"] for figure in figures.values()) == cases
    assert salvaged, "some are damaged enough to be replaced"
    assert any(figure["readings"] for figure in salvaged.values()), "and something is salvaged from them"
