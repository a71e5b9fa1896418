"""Opens a spool whatever state its files are in, and takes out of it all there is."""

import asyncio
import contextlib
from pathlib import Path

from serial2iot.reading import Reading
from serial2iot.spool.contract import SpoolOptions, SpoolStatus
from serial2iot.spool.sqlite import SqliteSpool


async def read_back(path: Path, budget_s: float = 30.0) -> tuple[dict[str, list[Reading]], SpoolStatus]:
    """Everything that a spool hands out by lane, each lane to its end, and the state of the spool after that.

    The books are checked on the way; what was handed out is acknowledged, and the spool closed.
    """
    changed = asyncio.Event()
    spool = SqliteSpool(SpoolOptions(path), wake=changed.set)
    await spool.open()
    keeping = asyncio.create_task(spool.run())
    found: dict[str, list[Reading]] = {}
    async with asyncio.timeout(budget_s):
        while any(counts.waiting for counts in spool.lanes().values()):
            changed.clear()
            for lane in list(spool.lanes()):
                while pairs := spool.peek(lane, 1000):
                    found.setdefault(lane, []).extend(reading for _, reading in pairs)
                    spool.ack(id for id, _ in pairs)
            if any(counts.waiting for counts in spool.lanes().values()):
                await changed.wait()
    assert all(counts.balanced for counts in spool.lanes().values()), spool.lanes()
    status = spool.status()
    keeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeping
    await spool.close(10.0)
    return found, status
