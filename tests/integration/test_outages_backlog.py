"""A backlog leaves at 85 to 95 % of whichever of AWS's limits binds, never above: see daemon_backlog.py."""

from pathlib import Path

import pytest

from tests.crash.daemon_backlog import Options, run


@pytest.mark.parametrize(
    ("options", "binds"),
    [
        (Options(450), "publishes"),
        pytest.param(Options(3000), "publishes", marks=[pytest.mark.long, pytest.mark.timeout(120)]),
        pytest.param(Options(12000, "batch", 45_000), "bytes", marks=pytest.mark.long),
        pytest.param(Options(12000, "batch", 95_000), "bytes", marks=pytest.mark.long),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else f"{value.layout}-{value.readings}",
)
async def test_a_backlog_leaves_as_fast_as_aws_allows(tmp_path: Path, options: Options, binds: str) -> None:
    figures = await run(options, tmp_path)
    print(figures)
    assert figures.kept, figures
    assert binds == ("publishes" if figures.publishes_share > figures.bytes_share else "bytes")
    assert figures.books["acknowledged"] == options.readings
    assert figures.books["dropped"] == 0
