"""A few SIGKILLs at random moments, of the same program that kills a thousand: see tests/crash/daemon_kills.py."""

from pathlib import Path

import pytest

from tests.crash.daemon_kills import Options, run
from tests.crash.daemon_ledger import losses

FEW_OR_SOME = pytest.mark.parametrize(
    "kills", [5, pytest.param(60, marks=[pytest.mark.long, pytest.mark.timeout(240)])]
)


@FEW_OR_SOME
async def test_nothing_old_enough_is_lost(tmp_path: Path, kills: int) -> None:
    figures = await run(Options(kills, weather={"up": 1, "frozen": 1, "down": 1}), tmp_path)
    print(figures)
    assert figures.kept, figures
    assert kills < 60 or figures.losses.owed > 10 * kills, "the kills hit something"


@FEW_OR_SOME
async def test_what_was_published_was_on_the_disk_before(tmp_path: Path, kills: int) -> None:
    figures = await run(Options(kills, commit_after_s=0, weather={"up": 1}), tmp_path)
    print(figures)
    assert figures.kept, figures
    assert kills < 60 or figures.unanswered > kills, "the answers were held back in time"


async def test_the_harness_sees_what_is_lost(tmp_path: Path) -> None:
    """A daemon that is to commit after a minute does not keep what it would have to keep after 0.3 s."""
    figures = await run(Options(4, commit_after_s=60, weather={"down": 1}), tmp_path)
    assert losses(figures.parts, figures.arrived, 0.3).lost > 0
