"""Damaged databases: does the spool start, and does it ever hand out what was never appended?

    python -m tests.crash.damage [CASES] [--seed N]

Spools are filled and their files copied as a power cut would leave them: a database of several levels, a log
that is not folded into it, free pages, bodies that spill over pages. Each case takes one, breaks it in one of
the ways that SD cards and power cuts break files, opens it, takes everything out, and takes a new reading in.
"""

import argparse
import asyncio
import collections
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import structlog

from serial2iot.reading import Reading, Stamp
from serial2iot.spool.contract import SpoolOptions
from serial2iot.spool.sqlite import SqliteSpool
from tests.crash.reading_back import read_back

PAGE = 4096
MEMORY = Path("/dev/shm")
Truth = dict[str, dict[tuple[int, int], Reading]]
Break = Callable[[Path, random.Random], None]


def flip_bits(file: Path, dice: random.Random) -> None:
    """Some bits are not what they were."""
    with file.open("r+b") as data:
        size = file.stat().st_size
        for _ in range(dice.choice((1, 1, 2, 10, 100))):
            at = dice.randrange(min(size, PAGE) if dice.random() < 0.2 else size)
            data.seek(at)
            byte = data.read(1)[0]
            data.seek(at)
            data.write(bytes([byte ^ (1 << dice.randrange(8))]))


def truncate(file: Path, dice: random.Random) -> None:
    """The end is missing."""
    size = dice.randrange(file.stat().st_size)
    with file.open("r+b") as data:
        data.truncate(size - size % PAGE if dice.random() < 0.5 else size)


def fill_pages(file: Path, dice: random.Random, content: Callable[[], bytes]) -> None:
    """Some pages hold something else."""
    pages = max(1, file.stat().st_size // PAGE)
    with file.open("r+b") as data:
        for _ in range(dice.choice((1, 1, 3, 30))):
            data.seek(dice.randrange(pages) * PAGE)
            data.write(content())


def zero_pages(file: Path, dice: random.Random) -> None:
    """Some pages were never written."""
    fill_pages(file, dice, lambda: bytes(PAGE))


def scramble_pages(file: Path, dice: random.Random) -> None:
    """Some pages are noise."""
    fill_pages(file, dice, lambda: dice.randbytes(PAGE))


def misplace_pages(file: Path, dice: random.Random) -> None:
    """Some pages hold what belongs into others: the card mixed its blocks up, or a write was lost."""
    whole = file.read_bytes()
    pages = max(1, len(whole) // PAGE)

    def another() -> bytes:
        at = dice.randrange(pages) * PAGE
        return whole[at : at + PAGE]

    fill_pages(file, dice, another)


def remove(file: Path, _: random.Random) -> None:
    """It is not there."""
    file.unlink()


BREAKS: tuple[Break, ...] = (
    flip_bits,
    flip_bits,
    truncate,
    zero_pages,
    scramble_pages,
    misplace_pages,
    remove,
)


async def fill(directory: Path, sizes: tuple[int, ...], count: int, dice: random.Random) -> Truth:
    """A spool with the backlog of three runs, some of it acknowledged, as it lies there during the third."""
    live = directory.with_name(directory.name + "-live")
    live.mkdir()
    truth: Truth = {"arduino": {}, "meter": {}}
    for part in (count * 3 // 4, count // 8, count // 8):
        spool = SqliteSpool(SpoolOptions(live / "spool.db", commit_after_s=0.0), clock=lambda: 0.0)
        run = await spool.open()
        for seq in range(1, part + 1):
            lane = "meter" if seq % 5 == 0 else "arduino"
            stamp = Stamp(1_763_856_000_000 + seq // 7, seq // 7, f"{run.number:032}", seq % 3 == 0)
            reading = Reading(run.number, seq, stamp, dice.randbytes(dice.choice(sizes)))
            truth[lane][reading.run, seq] = reading
            spool.append(lane, reading)
            if seq % (part // 8) == 0:
                await spool.turn()
        lent = spool.peek("arduino", count // 4)
        spool.ack(id for id, _ in lent[: len(lent) // 2])
        await spool.turn()
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(live, directory)
        await spool.close(10.0)
    shutil.rmtree(live)
    return truth


async def check(directory: Path, truth: Truth) -> tuple[int, bool]:
    """Open what is left, take everything out, go on; how many readings came out, and if it was replaced."""
    path = directory / "spool.db"
    found, status = await read_back(path)
    for lane, readings in found.items():
        for reading in readings:
            assert truth.get(lane, {}).get((reading.run, reading.seq)) == reading, "never appended"
    spool = SqliteSpool(SpoolOptions(path))
    await spool.open()
    spool.append("arduino", new := Reading(1 << 40, 1, Stamp(1, 1, "boot", True), b"new"))
    assert [reading for _, reading in spool.peek("arduino", 1)] == [new]
    assert spool.status().state == "healthy"
    await spool.close(10.0)
    again, _ = await read_back(path)
    assert again == {"arduino": [new]}
    return sum(map(len, found.values())), bool(status.set_aside)


def break_often(cases: int, seed: int, scratch: Path) -> dict[str, collections.Counter[str]]:
    """Figures by the way of breaking. AssertionError, with the case's number, if a promise is broken."""
    dice = random.Random(seed)
    fills = (((10, 30), 400), ((10, 30), 20_000), ((10, 3000, 20_000), 400))
    sources = [
        (scratch / f"source-{number}", asyncio.run(fill(scratch / f"source-{number}", sizes, count, dice)))
        for number, (sizes, count) in enumerate(fills)
    ]
    figures: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for case in range(cases):
        source, truth = dice.choice(sources)
        broken = scratch / "broken"
        shutil.copytree(source, broken)
        names = dice.choice((["spool.db"], ["spool.db-wal"], ["spool.db", "spool.db-wal"], ["run"]))
        breaking = dice.choice(BREAKS)
        for name in names:
            breaking(broken / name, dice)
        try:
            readings, replaced = asyncio.run(check(broken, truth))
        except BaseException as error:
            raise AssertionError(
                f"case {case} of seed {seed}: {breaking.__name__} {names}: {error!r}"
            ) from error
        what = f"{breaking.__name__} {'+'.join(names)}"
        figures[what].update(cases=1, readings=readings, replaced=replaced)
        figures[what]["of"] += sum(map(len, truth.values()))
        shutil.rmtree(broken)
    return figures


def main() -> int:
    """Break as many as asked, and print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cases", type=int, nargs="?", default=10_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    arguments = parser.parse_args()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as scratch:
        figures = break_often(arguments.cases, arguments.seed, Path(scratch))
    for what, figure in sorted(figures.items()):
        share = figure["readings"] / figure["of"]
        print(f"{what:40} {figure['cases']:6} cases, {figure['replaced']:6} replaced, {share:6.1%} read back")
    print(
        f"{arguments.cases} damaged databases, seed {arguments.seed}: each started, nothing foreign came out"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
