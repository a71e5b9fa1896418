"""How the demo is seen: live on a terminal, as lines anywhere else."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

MESSAGES = 3  # lines of each kind on the screen: all of it fits on 80 x 24
LOG_LINES = 3


class View(Protocol):
    """What the demo tells."""

    pause_s: float
    """How long a person needs to see a step."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(self, *_: object) -> None:
        """Leave the last of it where it is."""

    def began(self, step: int) -> None:
        """A step is waited for."""

    def seen(self, step: int, took_s: float, detail: str) -> None:
        """It happened."""

    def message(self, topic: str, payload: bytes) -> None:
        """A telemetry message, of one reading, arrived in the cloud."""

    def shadow(self, reported: Mapping[str, object], version: int) -> None:
        """The shadow changed."""

    def log(self, line: str) -> None:
        """The daemon said something."""


class LineView:
    """One line a step, for pipes and for CI."""

    pause_s = 0.0

    def __init__(self, steps: Sequence[str]) -> None:
        self._steps = steps

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def began(self, step: int) -> None: ...

    def seen(self, step: int, took_s: float, detail: str) -> None:
        """Print the step."""
        print(
            f"ok {step + 1}/{len(self._steps)}  {took_s:6.2f} s  {self._steps[step]}  {detail}".rstrip(),
            flush=True,
        )

    def message(self, topic: str, payload: bytes) -> None: ...

    def shadow(self, reported: Mapping[str, object], version: int) -> None: ...

    def log(self, line: str) -> None: ...


class LiveView:
    """A screen that lives: the steps, what arrives, what the shadow says, what the daemon logs."""

    pause_s = 2.0

    def __init__(self, steps: Sequence[str], console: Console) -> None:
        self._steps = steps
        self._marks = [Text("·", "dim")] * len(steps)
        self._details = [""] * len(steps)
        self._now = -1
        self._count = 0
        self._messages: deque[str] = deque(maxlen=MESSAGES)
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._shadow = Text("nothing yet", "dim")
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.__enter__()
        self._show()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def began(self, step: int) -> None:
        """Point at the step."""
        self._now = step
        self._marks[step] = Text("▶", "yellow")
        self._show()

    def seen(self, step: int, took_s: float, detail: str) -> None:
        """Tick it off."""
        self._marks[step] = Text("✔", "green")
        self._details[step] = detail or f"{took_s:.1f} s"
        self._show()

    def message(self, topic: str, payload: bytes) -> None:
        """Show it among the last ones."""
        self._count += 1
        message = json.loads(payload)
        self._messages.append(
            f"run {message['run']}  seq {message['seq']:>3}  {json.dumps(message['values'])}"
        )
        self._show()

    def shadow(self, reported: Mapping[str, object], version: int) -> None:
        """Show it, in green or red."""
        colour = "bold green" if reported.get("connected") is True else "bold red"
        self._shadow = Text(json.dumps(reported), colour).append(f"   version {version}", "dim")
        self._show()

    def log(self, line: str) -> None:
        """Show it among the last ones."""
        self._log.append(line)
        self._show()

    def _show(self) -> None:
        self._live.update(self._screen(), refresh=True)

    def _screen(self) -> RenderableType:
        steps = Table.grid(padding=(0, 1))
        steps.add_column(width=1)
        steps.add_column(ratio=1, no_wrap=True)
        steps.add_column(justify="right", no_wrap=True, style="cyan")
        for number, words in enumerate(self._steps):
            style = "bold" if number == self._now else "" if self._details[number] else "dim"
            steps.add_row(self._marks[number], Text(words, style), self._details[number])
        steps.expand = True
        return Group(
            Panel(steps, title="serial2iot demo", subtitle="Ctrl-C ends it", border_style="blue"),
            Panel(
                _lines(self._messages, MESSAGES),
                title=f"in the cloud: {self._count} readings",
                title_align="left",
            ),
            Panel(self._shadow, title="the shadow reports", title_align="left"),
            Panel(_lines(self._log, LOG_LINES, "dim"), title="the daemon says", title_align="left"),
        )


def _lines(lines: deque[str], height: int, style: str = "") -> Text:
    """A fixed number of lines, each cut at the edge, so that the screen does not jump."""
    shown = [*lines, *[""] * (height - len(lines))]
    return Text("\n".join(shown), style, no_wrap=True, overflow="ellipsis")


def view_for(console: Console, steps: Sequence[str]) -> View:
    """The view that fits where the output goes."""
    return LiveView(steps, console) if console.is_terminal else LineView(steps)
