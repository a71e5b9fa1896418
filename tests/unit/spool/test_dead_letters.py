"""What was set aside can be looked at: every reading, with its reason, in bounded files."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import structlog

from serial2iot.reading import Reading, Stamp
from serial2iot.spool.contract import SpoolOptions
from serial2iot.spool.dead_letters import FILE_NAME, MOST_BYTES, DeadLetters
from serial2iot.spool.sqlite import SqliteSpool

AT = Stamp(1_763_855_999_000, 5, "boot", True)


def reading(seq: int, body: bytes = b'{"t":23.4}') -> Reading:
    return Reading(7, seq, AT, body)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_what_the_spool_drops_for_a_reason_is_kept(tmp_path: Path) -> None:
    spool = SqliteSpool(SpoolOptions(path=tmp_path / "spool.db"), wall=lambda: 1_763_856_000.123)
    await spool.open()
    spool.append("arduino", reading(1), reading(2), reading(3))
    ids = [id for id, _ in spool.peek("arduino", 3)]
    spool.drop([ids[1]], "poison")
    await spool.close(5)
    letters = tmp_path / FILE_NAME
    await until(lambda: letters.exists() and letters.read_bytes().endswith(b"\n"))
    assert json.loads(letters.read_text()) == {
        "at": 1_763_856_000_123,
        "port": "arduino",
        "reason": "poison",
        "run": 7,
        "seq": 2,
        "time": 1_763_855_999_000,
        "values": {"t": 23.4},
    }
    assert dict(spool.lanes()["arduino"].dropped) == {"poison": 1}


async def test_the_files_are_bounded(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path, lambda: 0.0)
    large = reading(1, b'{"v":"%s"}' % (b"x" * (MOST_BYTES // 4)))
    for _ in range(12):
        letters.keep("arduino", [large], "invalid")
    letters.keep("arduino", [reading(99)], "invalid")
    await until(lambda: letters.path.exists() and b'"seq":99' in letters.path.read_bytes()[-200:])
    letters.stop()
    assert sorted(file.name for file in tmp_path.iterdir()) == [FILE_NAME, FILE_NAME + ".1"]
    assert all(file.stat().st_size <= MOST_BYTES for file in tmp_path.iterdir())


async def test_a_disk_that_takes_nothing_is_said_once(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "nowhere", lambda: 0.0)
    with structlog.testing.capture_logs() as logs:
        for _ in range(5):
            letters.keep("arduino", [reading(1)], "poison")
        await until(lambda: len(logs) > 0)
        letters.stop()
    assert [entry["event"] for entry in logs] == ["dead_letters_not_kept"]
