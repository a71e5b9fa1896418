"""`serial2iot watch`: the report once a second, with the recent course of each value as a small plot.

On a terminal one screen that lives, made to fit 80 x 24; anywhere else one line a reading that is new.
The only module of the daemon that knows rich, which is the extra `watch`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from serial2iot.errors import DaemonError
from serial2iot.host.sentence import clean
from serial2iot.host.status_text import rate, span

EVERY_S = 1.0
COURSE = 30  # points of a plot, one a look
_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = "_.-=*#"

Ask = Callable[[], Awaitable[Mapping[str, Any]]]
Series = dict[tuple[str, str], deque[float]]


async def watch(ask: Ask, console: Console, *, looks: int | None = None) -> None:
    """Look on until interrupted, or for so many `looks`. Raises DaemonError where nobody answers the first."""
    follow = _live if console.is_terminal else _lines
    await follow(ask, console, looks)


async def _looks(count: int | None) -> AsyncIterator[None]:
    """Now, and then once in EVERY_S."""
    done = 0
    while count is None or done < count:
        if done:
            await asyncio.sleep(EVERY_S)
        done += 1
        yield


async def _lines(ask: Ask, console: Console, looks: int | None) -> None:
    """`TIME PORT SEQ-OF-RECEIVED VALUES`, for each port that has a new reading; and each change of the link."""
    seen: dict[str, int] = {}
    link: bool | None = None
    async for _ in _looks(looks):
        report = await ask()
        if report["link"]["up"] != link:
            link = report["link"]["up"]
            print("connected" if link else "not connected", flush=True)
        for port in report["ports"]:
            last, received = port["last"], port["books"]["received"]
            if last and seen.get(port["name"]) != received:
                seen[port["name"]] = received
                at = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(last["time_ms"] / 1000))
                values = json.dumps(last["values"], ensure_ascii=False)
                print(f"{at} {port['name']} {received} {clean(values)}", flush=True)


async def _live(ask: Ask, console: Console, looks: int | None) -> None:
    series: Series = {}
    report = await ask()
    bars = _BARS if "utf" in (console.encoding or "").lower() else _ASCII_BARS
    with Live(console=console, auto_refresh=False, vertical_overflow="crop", screen=True) as live:
        async for _ in _looks(looks):
            trouble = ""
            try:
                report = await ask()
                _follow(series, report)
            except DaemonError as error:  # a restart: it will be back
                trouble = str(error)
            live.update(_screen(report, series, bars, trouble), refresh=True)


def _follow(series: Series, report: Mapping[str, Any]) -> None:
    """Add each number of each port's last reading to its course."""
    for port in report["ports"]:
        for key, value in _numbers(port):
            series.setdefault((port["name"], key), deque(maxlen=COURSE)).append(value)


def _numbers(port: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    values = port["last"]["values"] if port["last"] else {}
    for key, value in values.items():
        if isinstance(value, (int, float)):
            yield key, float(value)


def sparkline(values: list[float], bars: str = _BARS) -> str:
    """The course of a value between its own least and greatest; a constant one runs along the bottom."""
    if not values:
        return ""
    low, high = min(values), max(values)
    step = (high - low) / (len(bars) - 1)
    return "".join(bars[round((value - low) / step)] if step else bars[0] for value in values)


def _screen(report: Mapping[str, Any], series: Series, bars: str, trouble: str) -> RenderableType:
    return Group(
        _head(report, trouble), *(_port(port, series, bars) for port in report["ports"]), _foot(report)
    )


def _head(report: Mapping[str, Any], trouble: str) -> RenderableType:
    link = report["link"]
    up = link["up"] and not trouble
    word = trouble or ("connected" if up else "not connected")
    line = Text(f"{word} ", "bold green" if up else "bold red", no_wrap=True, overflow="ellipsis")
    line.append(f"{span(link['for_s'])}  {report['thing']} -> {link['endpoint']}", "default not bold")
    return line


def _port(port: Mapping[str, Any], series: Series, bars: str) -> RenderableType:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(ratio=2, no_wrap=True, overflow="ellipsis", style="cyan")
    table.add_column(ratio=2, no_wrap=True, overflow="ellipsis", justify="right")
    table.add_column(width=COURSE, no_wrap=True, style="green")
    values = port["last"]["values"] if port["last"] else {}
    for key, value in values.items():
        course = sparkline(list(series.get((port["name"], key), ())), bars)
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        table.add_row(Text(clean(key)), Text(clean(shown)), course)
    where = (port["device"] or "absent") if port["configured"] else "not configured"
    age = f", {span(port['last']['ago_s'])} ago" if port["last"] else ""
    title = Text(f"{port['name']}  {where}  {rate(port['rate'])}{age}")
    return Panel(table, title=title, title_align="left", border_style="blue" if port["device"] else "red")


def _foot(report: Mapping[str, Any]) -> RenderableType:
    books, last = report["books"], report["last_error"]
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(
        f"{books['acknowledged']} acknowledged, {books['waiting']} waiting, {books['dropped']} dropped"
    )
    text.append("   Ctrl-C ends it", "dim")
    if last:
        reason = f": {last['reason']}" if last["reason"] else ""
        text.append(f"\n{span(last['ago_s'])} ago {last['event'].replace('_', ' ')}{reason}", "yellow")
    return text
