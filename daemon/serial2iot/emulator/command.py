"""`serial2iot emulator`: the cloud on this machine for a person at a terminal, until SIGINT or SIGTERM.

This module is imported at every start of the `serial2iot` command, so what is slow to import waits for `run`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from serial2iot.errors import EmulatorError

if TYPE_CHECKING:
    from serial2iot.emulator.cloud import Emulator
    from serial2iot.emulator.shadow import ShadowKey
    from serial2iot.emulator.shadow_document import ShadowDocument

DEFAULT_PORT = 8883

_CONFIGURATION = """\
# For the emulator in this directory; `serial2iot emulator` wrote it and never changes it.

[thing]
name = {thing}

[mqtt]
endpoint = {endpoint}
port = {port}
certificate = {certificate}
private_key = {private_key}
root_ca = {root_ca}

[buffer]
path = {buffer}

# One block for each serial line.
# [[serial]]
# name = "arduino"
# device = "/dev/ttyACM0"
# baud = 115200
"""

_WELCOME = """\
AWS IoT Core's part, on this machine

  endpoint       {cloud.endpoint}:{cloud.port}, MQTT 5 with mutual TLS
  certificate    {cloud.certificate}
  private key    {cloud.private_key}
  root CA        {cloud.root_ca}
  configuration  {configuration}, {news}

Start the daemon against it:

  serial2iot run --config {configuration}

See everything that passes:

  mosquitto_sub -h 127.0.0.1 -p {cloud.plain_port} -v -t '#' -t '$aws/#'

Changes of shadows are shown here. Ctrl-C ends it.
"""


def default_directory() -> Path:
    """Return where state of a user's programs belongs (XDG Base Directory Specification 0.8)."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local/state") / "serial2iot-emulator"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `serial2iot emulator` takes."""
    parser.add_argument(
        "--directory",
        type=Path,
        metavar="DIR",
        help="for certificates, a ready configuration and the broker's log "
        "(default: serial2iot-emulator in $XDG_STATE_HOME, else in ~/.local/state)",
    )
    parser.add_argument(
        "--thing", metavar="NAME", default="RPI", help="the device's thing (default: %(default)s)"
    )
    parser.add_argument(
        "--port",
        type=int,
        default=DEFAULT_PORT,
        help="where devices connect, on loopback; 0 chooses a free one (default: %(default)s)",
    )


async def run(args: argparse.Namespace) -> int:
    """Run the emulator until a signal; the exit status.

    Raises EmulatorError if it cannot be set up, or if the broker dies.
    """
    try:
        from serial2iot.emulator.cloud import Emulator, EmulatorOptions
    except ModuleNotFoundError as error:
        raise EmulatorError(
            f"the emulator needs {error.name}", hint="pip install 'serial2iot[emulator]'"
        ) from error
    asked_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked_to_end.set)
    options = EmulatorOptions(args.directory or default_directory(), args.thing, args.port)
    async with Emulator(options, _show) as cloud:
        configuration = cloud.credentials.root_ca.parent / "serial2iot.toml"
        news = _write_configuration(configuration, cloud, args.thing)
        print(_WELCOME.format(cloud=cloud, configuration=configuration, news=news), flush=True)
        failure, end = asyncio.create_task(cloud.failed()), asyncio.create_task(asked_to_end.wait())
        done, others = await asyncio.wait({failure, end}, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        for task in done:
            task.result()
    return 0


def _write_configuration(path: Path, cloud: Emulator, thing: str) -> str:
    """Write a configuration if there is none; what to tell about it."""
    values = {
        "thing": thing,
        "endpoint": cloud.endpoint,
        "port": cloud.port,
        "certificate": cloud.certificate,
        "private_key": cloud.private_key,
        "root_ca": cloud.root_ca,
        "buffer": path.parent / "spool.db",
    }
    quoted = {
        key: json.dumps(value, default=str) for key, value in values.items()
    }  # TOML quotes as JSON does
    try:
        with path.open("x") as file:
            file.write(_CONFIGURATION.format(**quoted))
    except FileExistsError:
        return _difference(path, cloud.port)
    return "written now"


def _difference(path: Path, port: int) -> str:
    try:
        named = tomllib.loads(path.read_text())["mqtt"]["port"]
    except (KeyError, TypeError, ValueError):
        return "as you left it"
    return "as you left it" if named == port else f"as you left it: it names port {named}, not {port}"


def _show(key: ShadowKey, document: ShadowDocument | None) -> None:
    name = key.thing if key.name is None else f"{key.thing} ({key.name})"
    what = f"version {document.version}  {json.dumps(document.state)}" if document else "deleted"
    print(f"{time.strftime('%H:%M:%S')}  {name}  {what}", flush=True)
