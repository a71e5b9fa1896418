"""A port that outruns AWS's quota: told once, with the rates and the remedy. Pure; times are monotonic seconds.

A backlog grows for many reasons; the quota is the reason when the link is up and messages wait for nothing else.
Rules:

1. It is outrun once the backlog has grown over `SURE_S` in which the quota held messages back at every look.
2. It is over once the quota holds nothing back, or the backlog has not grown over the next `SURE_S`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SURE_S = 20.0


@dataclass(frozen=True, slots=True)
class Look:
    """What is seen at one moment: readings waiting, and received so far by each port."""

    at: float
    held_back: bool  # the link is up, and a message waits for the quota
    waiting: int
    received: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Outrun:
    """In readings a second: what the busiest port sends, what all send, and what leaves."""

    port: str
    port_rate: float
    rate: float
    leaves: float
    hint: str


class Pressure:
    """Looks every few seconds. `layout` is telemetry's, which decides the remedy."""

    def __init__(self) -> None:
        self.outrun: Outrun | None = None
        self._begin: Look | None = None  # of the present stretch of SURE_S

    def look(self, now: Look, layout: str) -> Outrun | None:
        """Take in what is seen; what became true just now, or None."""
        begin = self._begin
        if not now.held_back:
            self._begin = self.outrun = None
            return None
        if begin is not None and now.at - begin.at < SURE_S:
            return None
        self._begin = now
        if begin is None:
            return None
        was, self.outrun = self.outrun, _judged(begin, now, layout)
        return None if was else self.outrun


def _judged(begin: Look, now: Look, layout: str) -> Outrun | None:
    took_s = now.at - begin.at
    grows = (now.waiting - begin.waiting) / took_s
    if grows <= 0:
        return None
    rates = {port: (count - begin.received.get(port, 0)) / took_s for port, count in now.received.items()}
    rate = sum(rates.values())
    port = max(rates, key=lambda name: rates[name])
    return Outrun(port, rates[port], rate, rate - grows, _remedy(layout))


def _remedy(layout: str) -> str:
    if layout == "single":
        return 'set telemetry.layout = "batch": one message then carries many readings'
    return "raise telemetry.max_readings and max_bytes, or filter: [[serial]] min_interval_s, dead_band"
