"""The live view: small plots, on 80 x 24, and lines in a pipe."""

import io
from typing import Any

import pytest
from rich.console import Console

from serial2iot.errors import DaemonError
from serial2iot.host import watch as view
from tests.unit.host.test_status_text import report


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "EVERY_S", 0.0)


def course(*values: object) -> list[dict[str, Any]]:
    """A report for each value."""
    return [
        report(
            port={
                "last": {"ago_s": 0.1, "time_ms": 0, "values": {"t": value, "name": "soil\x1b[2J"}},
                "books": {"received": n, "waiting": 0, "dropped": {}},
            }
        )
        for n, value in enumerate(values)
    ]


def test_sparkline() -> None:
    assert view.sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert view.sparkline([5, 5]) == "▁▁"
    assert view.sparkline([]) == ""
    assert view.sparkline([0, 10], "_.#") == "_#"


async def screen(reports: list[Any]) -> str:
    out = io.StringIO()
    console = Console(
        file=out, force_terminal=True, width=80, height=24, color_system=None, legacy_windows=False
    )
    answers = iter(reports)

    async def ask() -> dict[str, Any]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    await view.watch(ask, console, looks=len(reports) - 1)
    return out.getvalue()


async def test_the_screen_has_the_values_and_their_course() -> None:
    reports = course(1, 1, 2, 3)
    last = (await screen(reports)).split("\x1b[H")[-1]
    assert "connected" in last
    assert "arduino  /dev/ttyACM0  12/s" in last
    assert "▁▅█" in last
    assert "5 acknowledged, 0 waiting, 0 dropped" in last
    assert "\x1b[2J" not in last
    rows = last.splitlines()
    assert len(rows) <= 24
    assert all(len(row) <= 80 for row in rows if "\x1b" not in row)


async def test_a_daemon_that_restarts_is_waited_for() -> None:
    last = await screen([*course(1, 1), DaemonError("the daemon is not running"), *course(2)])
    assert "the daemon is not running" in last
    assert last.rindex("connected") > last.rindex("the daemon is not running")


async def test_in_a_pipe_each_new_reading_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    reports = [*course(1, 2), *course(1, 2)[1:], *course(1, 2, 3)[2:]]
    answers = iter(reports)

    async def ask() -> dict[str, Any]:
        return next(answers)

    await view.watch(ask, Console(file=io.StringIO()), looks=4)
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "connected"
    assert [line.split()[2] for line in lines] == ["0", "1", "2"], "the reading that was not new is not told"
    assert all("\x1b" not in line for line in lines)
