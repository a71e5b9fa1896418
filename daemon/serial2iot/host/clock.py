"""What time it is, whether that can be believed, and which boot this is.

A Raspberry Pi has no battery clock: after a power cut it starts somewhere in the past until NTP answers.
So a stamp carries the wall clock for people, the monotonic clock for intervals, and whether the wall clock
was known to be right. Rules:

1. A stamp taken while the clock was synchronised is right and stays as it is.
2. One taken before, in this boot, is put right once the clock is: its distance to now is known exactly.
3. One of an earlier boot that never had the time keeps its best estimate, and the message says so.
4. Where nobody synchronises the clock (no timesyncd, no word from timedated) the wall clock is believed once
   it is sane: whoever runs the machine has set it. Before this release nothing was read, so nobody has.
5. TLS needs a clock later than this release and the certificate, not a synchronised one: `sane`.

Synchronised is what systemd-timesyncd's flag file says (systemd-timesyncd.service(8)), else timedated's
property NTPSynchronized (org.freedesktop.timedate1(5)), which knows of chrony and ntpd too.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from serial2iot import RELEASED_AT
from serial2iot.reading import Stamp

log = structlog.get_logger()

SYNCHRONISED = Path("/run/systemd/timesync/synchronized")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
LOOK_EVERY_S = 5.0
JUMP_S = 2.0  # a wall clock that moved this much against the monotonic one was set, not slewed
TIMEDATED = ("timedatectl", "show", "--property=NTPSynchronized", "--property=NTP", "--value")


def boot_id() -> str:
    """The kernel's id of this boot; systemd hands it in where the unit's sandbox hides /proc/sys."""
    given = os.environ.get("SERIAL2IOT_BOOT_ID", "")
    if given:
        return given.replace("-", "")
    try:
        return BOOT_ID.read_text().strip().replace("-", "")
    except OSError:
        return "unknown"


async def synchronised() -> bool | None:
    """Whether somebody keeps the clock right: True, not yet (False), or None where nobody will."""
    if SYNCHRONISED.exists():
        return True
    try:
        process = await asyncio.create_subprocess_exec(
            *TIMEDATED, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError:
        return None
    said, _ = await process.communicate()
    answers = said.split()
    if process.returncode != 0 or b"yes" not in answers:
        return None  # no timedated, or nobody is asked to keep the time
    return answers[0] == b"yes"


class Clock:
    """Makes stamps, and puts them right. `wall` and `monotonic` in seconds, replaced by tests."""

    def __init__(
        self,
        boot: str,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        ask: Callable[[], Awaitable[bool | None]] = synchronised,
    ) -> None:
        self._boot = boot
        self._wall = wall
        self._monotonic = monotonic
        self._ask = ask
        self.trusted = False

    def stamp(self) -> Stamp:
        """This moment."""
        return Stamp(int(self._wall() * 1000), int(self._monotonic() * 1000), self._boot, self.trusted)

    def wall_time(self, stamp: Stamp) -> tuple[int, bool]:
        """When a stamp was, in milliseconds since the epoch, and whether that is an estimate."""
        if stamp.trusted:
            return stamp.wall_ms, False
        if stamp.boot != self._boot:
            return stamp.wall_ms, True
        now = self.stamp()
        return now.wall_ms - (now.mono_ms - stamp.mono_ms), not self.trusted

    def sane(self, not_before: float = 0.0) -> bool:
        """Whether TLS can work: the clock is past this release and the certificate's begin (epoch s)."""
        return self._wall() >= max(RELEASED_AT, not_before)

    async def look(self) -> None:
        """Ask once whether the clock is right."""
        answer = await self._ask()
        was, self.trusted = self.trusted, answer is not False and self.sane()
        if self.trusted and not was:
            log.info("clock_trusted", synchronised=bool(answer))
        elif was and not self.trusted:
            log.warning("clock_not_synchronised", hint="readings keep their order; times are put right later")

    async def watch(self, beat: Callable[[], None] = lambda: None) -> None:
        """Go on asking until the clock is right, and say when somebody sets it."""
        offset = self._wall() - self._monotonic()
        while True:
            beat()
            await asyncio.sleep(LOOK_EVERY_S)
            moved, offset = self._wall() - self._monotonic() - offset, self._wall() - self._monotonic()
            if abs(moved) > JUMP_S:
                log.warning("clock_jumped", by_s=round(moved, 1))
            if not self.trusted:
                await self.look()
