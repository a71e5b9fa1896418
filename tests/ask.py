"""Asking the daemon as people and scripts do: the command in a process of its own, and its answer."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 20.0


class Said(NamedTuple):
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str


async def start(*words: str | Path, **environment: str) -> asyncio.subprocess.Process:
    """Begin `serial2iot ...`."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "serial2iot", *map(str, words)),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "daemon"), **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def command(*words: str | Path, **environment: str) -> Said:
    """Run `serial2iot ...` to its end."""
    process = await start(*words, **environment)
    out, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert process.returncode is not None
    return Said(process.returncode, out.decode(), err.decode())


async def report(config: Path) -> dict[str, Any]:
    """`serial2iot status --json`."""
    said = await command("status", "--json", "--config", config)
    assert said.status in (0, 1), said.err
    return dict(json.loads(said.out))


async def until(config: Path, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The first report that fulfils a condition."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition(seen := await report(config)):
            await asyncio.sleep(0.1)
    return seen
