"""`serial2iot replay`: what the configuration makes of a recording, or its bytes on a pty as if the board were there.

Bytes are given in the chunks and at the times at which they came, so framing by idle gap does what it did.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

from serial2iot.commands.config_option import add_config
from serial2iot.commands.configured import configured_port
from serial2iot.emulator.arduino import SimulatedArduino
from serial2iot.port.holders import holders
from serial2iot.port.recording import Chunk, Event, read
from serial2iot.wire.options import WireOptions
from serial2iot.wire.pipeline import Carried, Pipeline

LOOK_EVERY_S = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line takes."""
    parser.add_argument("file", metavar="FILE", type=Path, help="made by serial2iot record")
    parser.add_argument("--port", metavar="NAME", help="decode as this port of the configuration")
    add_config(parser)
    parser.add_argument(
        "--pty",
        type=Path,
        metavar="LINK",
        help="say it on a pseudo terminal at LINK, once somebody reads there",
    )
    speed = "how fast: 1 as it was, 10 ten times as fast, 0 at once (else 0, with --pty 1)"
    parser.add_argument("--speed", type=float, metavar="X", help=speed)


async def run(args: argparse.Namespace) -> int:
    """Print it, or say it."""
    entries = read(args.file)
    if args.pty:
        await _say(_paced(entries, 1.0 if args.speed is None else args.speed), args.pty)
    else:
        line = Pipeline(_wire(args))
        async for lines in _decoded(_paced(entries, args.speed or 0.0), line):
            print("\n".join(lines), flush=bool(args.speed))
        print("\n".join(_summary(line)))
    return 0


def _wire(args: argparse.Namespace) -> WireOptions:
    """Without a configuration: as an Arduino's lines, recognised."""
    if args.config or args.port or "SERIAL2IOT_CONFIG" in os.environ:
        return configured_port(args, args.port).wire
    return WireOptions()


async def _paced(entries: Iterable[Chunk | Event], speed: float) -> AsyncIterator[Chunk | Event]:
    """Each when it is due; `speed` 0: at once."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for entry in entries:
        if speed:
            await asyncio.sleep(began + entry.at / speed - loop.time())
        yield entry


async def _decoded(entries: AsyncIterator[Chunk | Event], line: Pipeline) -> AsyncIterator[list[str]]:
    """What each entry gives, as lines to print. Time is the recording's."""
    at = 0.0
    async for entry in entries:
        lines = _ended_by_silence(line, entry.at)
        at = entry.at
        if isinstance(entry, Chunk):
            lines += _told(line.feed(entry.data, at), at)
        else:
            if unfinished := line.unfinished:
                lines += _told(Carried([], [unfinished]), at)
            line.reset(partial=not entry.fresh, now=at)
            lines.append(f"{at:10.3f}  -- {entry.what} --")
        if lines:
            yield lines
    if lines := _ended_by_silence(line, line.due or at):
        yield lines


def _ended_by_silence(line: Pipeline, now: float) -> list[str]:
    due = line.due
    return list(_told(line.flush(due), due)) if due is not None and due <= now else []


def _told(carried: Carried, at: float) -> Iterator[str]:
    for body in carried.bodies:
        yield f"{at:10.3f}  {body.decode()}"
    for bad in carried.bad:
        yield f"{at:10.3f}  ! {bad.reason}, {bad.size} bytes: {bad.head!r}"


def _summary(line: Pipeline) -> Iterator[str]:
    counts = line.counts
    yield f"{counts.bytes} bytes, {counts.filtered} readings filtered, {counts.nulled} numbers made null"
    for reason, count in sorted(counts.bad_frames.items()):
        yield f"{count} bad frames: {reason}"
    if unfinished := line.unfinished:
        yield f"{unfinished.size} bytes of an unfinished frame at the end: {unfinished.head!r}"


async def _say(entries: AsyncIterator[Chunk | Event], link: Path) -> None:
    """As a board does that is plugged in, speaks, and is unplugged where the line was lost."""
    async with SimulatedArduino(link, period_s=None) as board:
        print(f"{link} is there; waiting for somebody to open it", flush=True)
        await _opened(link)
        async for entry in entries:
            if isinstance(entry, Chunk):
                await board.send(entry.data)
            elif entry.what == "lost":
                await board.drained()
                await board.unplug()
            elif not board.plugged:
                await board.plug()
                await _opened(link)
        await board.drained()


async def _opened(link: Path) -> None:
    while not holders(str(link)):  # noqa: ASYNC110 - a pty does not tell its master
        await asyncio.sleep(LOOK_EVERY_S)
    await asyncio.sleep(LOOK_EVERY_S)  # a program that opens a line discards what lies in it already
