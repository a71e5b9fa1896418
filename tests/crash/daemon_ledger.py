"""What the board said, what the daemon is known to have read of it and when, and what arrived in the cloud.

Readings are numbered lines, `{"n": 1}` and so on: the number in the values is the harness's own name for a
reading, (port, run, seq) is the daemon's. Each must belong to one of the other.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from serial2iot.emulator.watch import Watch

Name = tuple[str, int, int]  # (port, run, seq)


class Part(NamedTuple):
    """Numbers that were known to be read `age_s` before the daemon was killed (at the least)."""

    first: int
    last: int
    age_s: float


@dataclass
class Arrived:
    """Every reading that a subscriber of the broker saw, by its number."""

    names: dict[int, Name] = field(default_factory=dict)
    times: dict[int, int] = field(default_factory=dict)  # how often each came
    confused: int = 0  # a name with two numbers or a number with two names
    estimated: int = 0  # readings whose time is an estimate

    @property
    def doubles(self) -> int:
        """How many came more than once, each time counted."""
        return sum(self.times.values()) - len(self.times)

    def take(self, payload: bytes) -> list[int]:
        """Enter one message; the numbers in it."""
        message = json.loads(payload)
        numbers = []
        for entry in message.get("readings", [message]):
            number = entry["values"].get("n")
            if number is None:  # half a line, after a board was opened in the middle of one
                continue
            name = (message["port"], message["run"], entry["seq"])
            self.confused += self.names.setdefault(number, name) != name
            self.times[number] = self.times.get(number, 0) + 1
            self.estimated += "time_quality" in entry
            numbers.append(number)
        return numbers

    def confusions(self) -> int:
        """Numbers with two names, and names with two numbers."""
        return self.confused + len(self.names) - len(set(self.names.values()))

    async def follow(self, watch: Watch, unanswered: set[int] | None = None) -> None:
        """Enter what a watch sees, until cancelled. `unanswered` collects its numbers as well."""
        async for arrival in watch:
            numbers = self.take(arrival.payload)
            if unanswered is not None:
                unanswered.update(numbers)


class Losses(NamedTuple):
    """What never arrived of what was read."""

    owed: int  # readings older than the bound when the daemon was killed
    lost: int  # of these, never seen
    young: int  # never seen, but younger than that
    oldest_s: float  # the age of the oldest reading that was never seen


def losses(parts: list[Part], arrived: Arrived, bound_s: float) -> Losses:
    """Compare what was read with what arrived; readings older than `bound_s` are owed."""
    owed = sum(part.last - part.first + 1 for part in parts if part.age_s > bound_s)
    ages = list(_missing(parts, arrived))
    late = [age for age in ages if age > bound_s]
    return Losses(owed, len(late), len(ages) - len(late), max(ages, default=0.0))


def _missing(parts: list[Part], arrived: Arrived) -> Iterator[float]:
    for part in parts:
        for number in range(part.first, part.last + 1):
            if number not in arrived.times:
                yield part.age_s


async def settled() -> None:
    """Let this loop take in whatever lies in its sockets."""
    for _ in range(3):
        await asyncio.sleep(0.02)
