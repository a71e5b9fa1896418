"""`serial2iot record`: the raw bytes of a port with their times, into a file that `replay` takes."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

from serial2iot.commands.config_option import add_config
from serial2iot.commands.configured import configured_port
from serial2iot.errors import PortError
from serial2iot.port.options import PortOptions
from serial2iot.port.recording import Recorder
from serial2iot.port.serial_port import SerialPort

LOOK_EVERY_S = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line takes."""
    parser.add_argument("port", metavar="PORT", help="a port's name in the configuration, or a device")
    parser.add_argument("file", metavar="FILE", type=Path, help="a new file; its format is JSON lines")
    parser.add_argument("--seconds", type=float, metavar="N", help="how long (else until Ctrl-C)")
    parser.add_argument(
        "--baud", type=int, metavar="N", help="of a device that is not configured (else 115200)"
    )
    add_config(parser)


async def run(args: argparse.Namespace) -> int:
    """Record until Ctrl-C, or for so long."""
    options = _options(args)
    port = SerialPort(options)
    device = await port.open()  # what is wrong at the start is the user's to mend; later it is recorded
    try:
        file = args.file.open("x", encoding="utf-8", buffering=1)
    except OSError as error:
        port.close()
        raise PortError(f"{args.file} cannot be written: {error.strerror}", hint="give a new file") from error
    with file:
        recording = asyncio.ensure_future(
            _record(port, Recorder(file, device, options.baud, datetime.now(UTC)))
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, recording.cancel)
        print(f"recording {device} at {options.baud} baud to {args.file}; Ctrl-C ends it", flush=True)
        try:
            with contextlib.suppress(asyncio.CancelledError, TimeoutError):
                await asyncio.wait_for(recording, args.seconds)
        except OSError as error:
            raise PortError(f"{args.file} cannot be written: {error.strerror}") from error
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    print(f"{args.file}: {args.file.stat().st_size} bytes")
    return 0


def _options(args: argparse.Namespace) -> PortOptions:
    if "/" in args.port:
        return PortOptions("recorded", args.port, baud=args.baud or 115_200)
    return configured_port(args, args.port).port


async def _record(port: SerialPort, recorder: Recorder) -> None:
    """For ever: a line that is lost is waited for, as the daemon does."""
    began = time.monotonic()
    try:
        while True:
            recorder.opened(time.monotonic() - began, fresh=port.fresh)
            try:
                while True:
                    if chunk := await port.read():
                        recorder.chunk(time.monotonic() - began, chunk)
            except PortError:
                recorder.lost(time.monotonic() - began)
            port.close()
            await _reopen(port)
    finally:
        port.close()


async def _reopen(port: SerialPort) -> None:
    while not port.is_open:
        await asyncio.sleep(LOOK_EVERY_S)
        with contextlib.suppress(PortError):
            await port.open()
