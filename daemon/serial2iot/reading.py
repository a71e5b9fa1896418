"""A reading and the moment it arrived: the words in which the rooms speak of data.

Both are made once a reading or once a chunk and never changed. They are tuples because a busy port makes
hundreds of thousands of them a second.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

Scalar: TypeAlias = "str | int | float | bool | None"
Json: TypeAlias = "Scalar | list[Json] | dict[str, Json]"
Values: TypeAlias = "dict[str, Json]"
"""What one frame says: names to JSON values. NaN and infinities have become None on the way in."""


class Stamp(NamedTuple):
    """When bytes arrived: on the wall clock, and on the monotonic clock of one boot.

    The second pair lets a wall clock that was wrong on arrival be put right later (see `host.clock`).
    """

    wall_ms: int  # milliseconds since the epoch, as the wall clock had it
    mono_ms: int  # milliseconds of CLOCK_BOOTTIME's kin: monotonic within `boot`
    boot: str  # the boot this monotonic time belongs to
    trusted: bool  # the wall clock was known to be right


class Reading(NamedTuple):
    """One set of values from one port. (port, run, seq) names it for ever; the port is the spool's lane."""

    run: int  # goes up at each start of the daemon
    seq: int  # counts from 1 per run and port, without gaps at the source
    stamp: Stamp
    body: bytes  # the values as an encoded JSON object; built once and kept
