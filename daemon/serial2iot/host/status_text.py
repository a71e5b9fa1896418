"""The report for people: what `serial2iot status` prints, in 80 columns. Pure: the report in, lines out."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from serial2iot.host.sentence import clean

WIDTH = 80
LABEL = 13  # columns of the words on the left


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Worst news first is not tried: what a line is about is always in the same place."""
    yield from _entry("serial2iot", _headline(report))
    yield from _entry("broker", _broker(report))
    yield from _entry("shadow", _shadow(report))
    for port in report["ports"]:
        yield ""
        yield from _entry(port["name"], _port(port))
    yield ""
    yield from _entry("books", _books(report["books"]))
    yield from _entry("telemetry", _telemetry(report["telemetry"]))
    yield from _entry("spool", _spool(report["spool"]))
    yield from _entry("run", _run(report))
    yield from _entry("certificate", _certificate(report["certificate"]))
    if last := report["last_error"]:
        yield ""
        yield from _entry("last trouble", _trouble(last))


def _entry(label: str, texts: Iterable[str]) -> Iterator[str]:
    """A label and its paragraphs, each wrapped beside it. A label too long for its column has its own line."""
    label = clean(label)
    if len(label) >= LABEL:
        yield label[:WIDTH]
        label = ""
    for text in texts:
        wrapped = textwrap.wrap(clean(text), WIDTH - LABEL, break_on_hyphens=False) or [""]
        for line in wrapped:
            yield f"{label:<{LABEL}}{line}".rstrip()
            label = ""


def _headline(report: Mapping[str, Any]) -> Iterator[str]:
    link = report["link"]
    word = "CONNECTED" if link["up"] else "NOT CONNECTED"
    yield f"{word} for {span(link['for_s'])}, as {report['thing']}"
    yield f"version {report['version']}, up for {span(report['uptime_s'])}, pid {report['pid']}"
    if tables := report["needs_restart"]:
        changed = ", ".join(f"[{table}]" for table in tables)
        yield f"! {changed} changed in the file: sudo systemctl restart serial2iot"
    if not report["clock"]["trusted"]:
        yield "! the clock is not synchronised: times are put right later"


def _broker(report: Mapping[str, Any]) -> Iterator[str]:
    link = report["link"]
    yield f"{link['endpoint']}:{link['port']}, client {link['client_id']}"
    if loss := link["last_loss"]:
        yield f"{'last lost' if link['up'] else 'lost'} {span(loss['ago_s'])} ago: {loss['reason']}"
        if loss["hint"] and not link["up"]:
            yield f"-> {loss['hint']}"


def _shadow(report: Mapping[str, Any]) -> Iterator[str]:
    presence = report["presence"]
    says = {True: "says connected: true", False: "does NOT say connected: true", None: "gave no word"}
    yield f"{says[presence['shadow_says']]} ({presence['state']})"


def _port(port: Mapping[str, Any]) -> Iterator[str]:
    where = (port["device"] or "ABSENT") if port["configured"] else "not in the configuration"
    last = port["last"]
    yield f"{where}, {rate(port['rate'])}" + (f", last {span(last['ago_s'])} ago" if last else "")
    if last:
        yield shortened(json.dumps(last["values"], ensure_ascii=False), WIDTH - LABEL)
    if absent := port["absent"]:
        yield f"! {absent['reason']}"
        yield f"-> {absent['hint']}"
    if port["silent_s"] is not None:
        yield f"! silent for {span(port['silent_s'])}: is the board running?"
    books = port["books"]
    yield f"{books['received']} received, {books['waiting']} waiting -> {port['topic']}"
    if port["standing"] != "clear":
        yield f"! the topic is {port['standing']}: the policy needs iot:Publish on it"
    wire = port["wire"]
    losses = [("bad frames", wire["bad_frames"]), ("dropped", books["dropped"])]
    for word, reasons in losses:
        if reasons:
            yield f"{word}: " + ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    if wire["filtered"]:
        yield f"filtered: {wire['filtered']}"


def _books(books: Mapping[str, Any]) -> Iterator[str]:
    yield f"{books['carried_over']} carried over + {books['received']} received"
    kept = f"= {books['acknowledged']} acknowledged + {books['waiting']} waiting + {books['dropped']} dropped"
    yield kept + ("" if books["balanced"] else "  ! they do NOT balance: please report this")


def _telemetry(telemetry: Mapping[str, Any]) -> Iterator[str]:
    yield f"{telemetry['mode'].replace('_', ' ')}, layout {telemetry['layout']}, limits {telemetry['limits']}"
    if outrun := telemetry["outrun"]:
        come, leave = rate(outrun["rate"]), rate(outrun["leaves"])
        yield f"! {outrun['port']} outruns the quota: {come} come, {leave} leave"
        yield f"-> {outrun['hint']}"


def _spool(spool: Mapping[str, Any]) -> Iterator[str]:
    yield f"{spool['state'].replace('_', ' ')}, {size(spool['held'])} of {size(spool['max_bytes'])} held"
    yield spool["path"]
    if spool["error"]:
        yield f"! for {span(spool['for_s'])}: {spool['error']}"
        yield f"-> {spool['hint']}"
    if spool["set_aside"]:
        yield "damaged, set aside: " + ", ".join(spool["set_aside"])


def _run(report: Mapping[str, Any]) -> Iterator[str]:
    run = report["run"]
    where = {"clock": "the clock's seconds: it could be kept nowhere"}
    yield f"{run['number']}, kept in {where.get(run['kept_in'], 'the ' + run['kept_in'])}"


def _certificate(certificate: Mapping[str, Any]) -> Iterator[str]:
    days, until = certificate["days_left"], certificate["not_after"][:10]
    yield f"EXPIRED on {until}" if days < 0 else f"valid until {until}, {days} days"


def _trouble(last: Mapping[str, Any]) -> Iterator[str]:
    words = last["event"].replace("_", " ")
    who = f"{last['port']}: " if last["port"] else ""
    why = f": {last['reason']}" if last["reason"] else ""
    yield f"{span(last['ago_s'])} ago: {who}{words}{why}"
    if last["hint"]:
        yield f"-> {last['hint']}"


def span(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min`, `5 h 12 min`, `41 d`."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 120:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d"


def rate(a_second: float) -> str:
    """`12/s`, `0.2/s`."""
    return f"{a_second:.0f}/s" if a_second >= 10 or a_second == 0 else f"{a_second:.1f}/s"


def size(count: float) -> str:
    """`12 MiB`, `3.4 KiB`."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def shortened(text: str, width: int) -> str:
    """At most so many columns."""
    return text if len(text) <= width else text[: width - 3] + "..."
