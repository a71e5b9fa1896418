"""The whole system on this machine, shown: an Arduino, the daemon, the cloud, and a daemon that dies.

Every step is waited for and has to be seen to happen: the shadow is asked, the messages are counted. If one
does not come in time, the demo says which, shows the daemon's last words, and ends with 1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path

from rich.console import Console

from serial2iot.emulator.arduino import SimulatedArduino
from serial2iot.emulator.cloud import Emulator, EmulatorOptions
from serial2iot.emulator.demo_view import View, view_for
from serial2iot.emulator.firmware import FirmwareBoard
from serial2iot.emulator.shadow import ShadowKey
from serial2iot.emulator.shadow_document import ShadowDocument

THING = "RPI"
READINGS = 20  # at ten a second: two seconds to watch them come
STEP_S = 30.0  # far more than any step needs

STEPS = (
    "AWS IoT Core's part runs on this machine",
    "an Arduino speaks on its serial line",
    "the daemon is started: connected is true",
    "its readings arrive in the cloud",
    "the daemon is killed: the last will says false",
    "the daemon is started again: connected is true",
    "the daemon is stopped: it says false itself",
    "no reading is missing in between",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `serial2iot demo` takes."""
    help = "the Arduino is real firmware: the example sketch on a simulated ATmega328P"
    parser.add_argument("--firmware", action="store_true", help=help)


CONFIG = """
[thing]
name = "{thing}"

[mqtt]
endpoint = "{cloud.endpoint}"
port = {cloud.port}
certificate = "{cloud.certificate}"
private_key = "{cloud.private_key}"
root_ca = "{cloud.root_ca}"

[[serial]]
name = "arduino"
device = "{device}"

[buffer]
path = "{place}/spool.db"
"""


async def run(args: argparse.Namespace) -> int:
    """Show everything; 0 only if every step was seen. Ctrl-C at any moment leaves nothing behind."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="serial2iot-demo-") as place, view_for(console, STEPS) as view:
        demo = Demo(Path(place), view, firmware=args.firmware)
        _end_on_signals()
        try:
            await demo.run()
        except asyncio.CancelledError:
            return 130
        except TimeoutError as missed:
            failure = f"not seen: {STEPS[demo.step]} ({missed or f'waited {STEP_S:.0f} s'})"
        else:
            return 0
    print(f"serial2iot demo: {failure}", *demo.last_words, sep="\n  ", file=sys.stderr)
    return 1


def _end_on_signals() -> None:
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)


class Demo:
    """The story, step by step. `step` is the one that is waited for."""

    def __init__(self, place: Path, view: View, *, firmware: bool) -> None:
        self.step = 0
        self.last_words: deque[str] = deque(maxlen=15)
        self._place = place
        self._view = view
        self._firmware = firmware
        self._seqs: dict[int, list[int]] = {}  # of every run, as they arrived
        self._came = asyncio.Event()
        self._began = 0.0

    async def run(self) -> None:
        """Tell it. Raises TimeoutError for a step that was not seen."""
        async with contextlib.AsyncExitStack() as stack:
            self._begin(0)
            cloud = await stack.enter_async_context(
                Emulator(EmulatorOptions(self._place / "cloud", THING), on_shadow=self._on_shadow)
            )
            await stack.enter_async_context(_beside(self._watch(cloud)))
            self._seen(f"port {cloud.port}")
            link = self._place / "ttyACM0"
            board = FirmwareBoard(link) if self._firmware else SimulatedArduino(link)
            await stack.enter_async_context(board)
            self._seen("ATmega328P" if self._firmware else "simulated")
            await self._tell(cloud, self._write_config(cloud, link))

    async def _tell(self, cloud: Emulator, config: Path) -> None:
        async with self._daemon(config) as daemon:
            await cloud.until_reported(connected=True, within_s=STEP_S)
            self._seen()
            await self._until_readings(READINGS)
            self._seen(f"{READINGS} readings")
            await self._linger()
            daemon.kill()
            await cloud.until_reported(connected=False, within_s=STEP_S)
            self._seen()
            await self._linger()
        async with self._daemon(config) as daemon:
            await cloud.until_reported(connected=True, within_s=STEP_S)
            self._seen()
            await self._until_readings(READINGS)
            await self._linger()
            daemon.terminate()
            await cloud.until_reported(connected=False, within_s=STEP_S)
            status = await asyncio.wait_for(daemon.wait(), STEP_S)
            if status != 0:
                raise TimeoutError(f"the daemon ended with {status}")
            self._seen()
        self._seen(self._count_whole())
        await self._linger()

    # Steps. ------------------------------------------------------------------------------------------------

    def _begin(self, step: int) -> None:
        self.step = step
        self._began = time.monotonic()
        self._view.began(step)

    def _seen(self, detail: str = "") -> None:
        self._view.seen(self.step, time.monotonic() - self._began, detail)
        if self.step + 1 < len(STEPS):
            self._begin(self.step + 1)

    async def _linger(self) -> None:
        """Give a person time to look; what happens meanwhile belongs to no step."""
        await asyncio.sleep(self._view.pause_s)
        self._began = time.monotonic()

    # What is seen. -----------------------------------------------------------------------------------------

    async def _watch(self, cloud: Emulator) -> None:
        async with cloud.watch(f"my/things/{THING}/telemetry") as watch:
            async for arrival in watch:
                message = json.loads(arrival.payload)
                self._seqs.setdefault(message["run"], []).append(message["seq"])
                self._view.message(arrival.topic, arrival.payload)
                self._came.set()

    def _on_shadow(self, key: ShadowKey, document: ShadowDocument | None) -> None:
        whole = document.as_json() if document else {}
        self._view.shadow(whole.get("state", {}).get("reported", {}), whole.get("version", 0))

    async def _until_readings(self, count: int) -> None:
        """Wait for so many more."""
        wanted = sum(map(len, self._seqs.values())) + count
        async with asyncio.timeout(STEP_S):
            while sum(map(len, self._seqs.values())) < wanted:
                self._came.clear()
                await self._came.wait()

    def _count_whole(self) -> str:
        """Every number of each run must have come. Raises TimeoutError where one is missing."""
        missing = sum(max(seqs) - len(set(seqs)) for seqs in self._seqs.values())
        if missing:
            raise TimeoutError(f"{missing} readings did not arrive")
        return f"{sum(len(set(seqs)) for seqs in self._seqs.values())} readings, 0 missing"

    # The daemon. -------------------------------------------------------------------------------------------

    def _write_config(self, cloud: Emulator, device: Path) -> Path:
        config = self._place / "config.toml"
        config.write_text(CONFIG.format(thing=THING, cloud=cloud, device=device, place=self._place))
        return config

    @contextlib.asynccontextmanager
    async def _daemon(self, config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run the daemon as its own process, which ends with us whatever happens."""
        daemon = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "KILL"),
            *(sys.executable, "-m", "serial2iot", "run", "--config", str(config)),
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            process_group=0,  # a Ctrl-C is for the demo, which ends the daemon in good order
        )
        try:
            async with _beside(self._listen(daemon)):
                yield daemon
        finally:
            with contextlib.suppress(ProcessLookupError):
                daemon.kill()
            await daemon.wait()

    async def _listen(self, daemon: asyncio.subprocess.Process) -> None:
        assert daemon.stderr is not None
        async for line in daemon.stderr:
            words = line.decode(errors="replace").rstrip()
            self.last_words.append(words)
            self._view.log(words)


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Do something for as long as a block lasts."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
