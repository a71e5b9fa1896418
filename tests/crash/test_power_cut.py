"""Power cuts: nothing that was committed is lost, and the test would see it if it were."""

from pathlib import Path

import pytest

from tests.crash.disks import why_no_disks
from tests.crash.power_cut import cut_often, summary


@pytest.fixture(scope="module", autouse=True)
def needs_disks(tmp_path_factory: pytest.TempPathFactory) -> None:
    if reason := why_no_disks(tmp_path_factory.mktemp("try")):
        pytest.skip(f"no loop-mounted file systems: {reason}")


@pytest.mark.parametrize("cuts", [3, pytest.param(30, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_what_was_committed_survives(cuts: int, tmp_path: Path) -> None:
    outcomes = list(cut_often(cuts, "FULL", tmp_path))
    print(summary(outcomes, "FULL"))
    assert all(outcome.durable > 0 for outcome in outcomes)
    assert sum(outcome.lost for outcome in outcomes) == 0
    assert sum(outcome.foreign for outcome in outcomes) == 0
    assert {outcome.state for outcome in outcomes} == {"healthy"}


def test_without_waiting_for_the_disk_readings_are_lost(tmp_path: Path) -> None:
    outcomes = list(cut_often(2, "OFF", tmp_path))
    print(summary(outcomes, "OFF"))
    assert sum(outcome.lost for outcome in outcomes) > 0
