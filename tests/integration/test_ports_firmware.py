"""Real firmware through the whole daemon: what the broker received is what the chip measured."""

from __future__ import annotations

import asyncio
import contextlib
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from serial2iot.emulator.firmware import FirmwareBoard
from tests.firmware_parts import need_toolchain, stock_examples
from tests.scene import TELEMETRY, Arrivals, Scene

WITHIN_S = 20.0

# Stock examples of Debian's arduino package, unchanged, with the baud that they use.
EXAMPLES = {
    "number": ("01.Basics/AnalogReadSerial", {"value": 511}),
    "voltage": ("01.Basics/ReadAnalogVoltage", {"value": 2.5}),
    "csv": ("04.Communication/VirtualColorMixer", {"value1": 511, "value2": 1023, "value3": 0}),
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_toolchain()
    return tmp_path_factory.mktemp("boards")


async def until_said(arrivals: Arrivals, port: str, wanted: dict[str, Any], *, times: int = 5) -> None:
    """Wait until the last readings of a port are so."""
    last: list[dict[str, object]] = []
    try:
        async with asyncio.timeout(WITHIN_S):
            while last != [wanted] * times:
                await asyncio.sleep(0.05)
                last = [values for name, _, _, values in arrivals.readings() if name == port][-times:]
    except TimeoutError:
        raise AssertionError(f"{port} said {last}, not {wanted}") from None


async def test_three_stock_examples_at_once(scene: Scene, cache: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        serial = ""
        for name, (example, _) in EXAMPLES.items():
            sketch = stock_examples() / example / f"{Path(example).name}.ino"
            board = FirmwareBoard(scene.place / f"tty-{name}", sketch, cache=cache)
            await stack.enter_async_context(board)
            await board.set_adc(0, 2500)
            await board.set_adc(1, 5000)
            serial += f'[[serial]]\nname = "{name}"\ndevice = "{board.link}"\nbaud = 9600\n'
        watch = await stack.enter_async_context(scene.cloud.watch(TELEMETRY))
        daemon = await stack.enter_async_context(scene.daemon(scene.config(serial=serial)))
        arrivals = Arrivals(watch)
        for name, (_, values) in EXAMPLES.items():
            await until_said(arrivals, name, values)
        assert await daemon.stop() == 0
        print(f"{len(arrivals.readings())} readings of {', '.join(name for name, _ in EXAMPLES.values())}")


async def test_the_projects_sketch_and_a_reset_in_mid_line(scene: Scene, cache: Path) -> None:
    async with (
        FirmwareBoard(scene.link, cache=cache) as board,
        scene.cloud.watch(TELEMETRY) as watch,
        scene.daemon(scene.config()) as daemon,
    ):
        await board.set_adc(0, 2500)
        arrivals = Arrivals(watch)
        await arrivals.until(10)
        await board.reset(after_bytes=9)
        before = len(arrivals.readings())
        await arrivals.until(before + 10)
        line = await daemon.said("bad frame: not_json")
        assert await daemon.stop() == 0
    seen = arrivals.readings()
    assert [seq for _, _, seq, _ in seen] == list(range(1, len(seen) + 1)), (
        "a line that was cut took no number"
    )
    stamps = [values["ms"] for _, _, _, values in seen]
    steps = [later - sooner for sooner, later in pairwise(stamps)]  # type: ignore[operator]
    assert len([step for step in steps if step < 0]) == 1, "its clock began anew, once"
    assert all(99 <= step <= 101 for step in steps if step > 0), "no other line is missing"
    assert seen[-1][3]["a0"] == 511
    assert len(re.findall(r"{.?.t", line)) == 2, (
        "half a line and the first after the reset are counted, and shown"
    )
    told = [line for line in daemon.log if "bad frame" in line and "partial" not in line]
    assert told == [line], "each is counted once; what was under way when the port opened is another"
