"""The other end of the daemon's socket, for commands: one question, one answer. See `host.door` for the protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os.path
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serial2iot.errors import ConfigError, DaemonError, Serial2IotError
from serial2iot.host.door import NAME, place
from serial2iot.spool.contract import SpoolOptions

RUNTIME_DIRECTORY = Path("/run/serial2iot")  # RuntimeDirectory= of the unit
PATIENCE_S = 10.0
LARGEST_ANSWER = 64 << 20  # bytes; a report has the last values of every port, 128 KiB each at most


async def ask(path: Path, request: Mapping[str, object], *, within_s: float = PATIENCE_S) -> dict[str, Any]:
    """The daemon's answer.

    Raises DaemonError where nobody answers, and what the daemon refused with: ConfigError or Serial2IotError.
    """
    try:
        async with asyncio.timeout(within_s):
            line = await _exchange(path, json.dumps(request).encode() + b"\n")
    except OSError as error:
        raise _unreachable(path, error) from error
    if not line.endswith(b"\n"):
        raise DaemonError("the daemon hung up: it is stopping, or has too many clients", hint="try again")
    answer = json.loads(line)
    if answer["ok"]:
        return dict(answer["result"])
    kind = ConfigError if answer["kind"] in ("ConfigError", "CredentialError") else Serial2IotError
    raise kind(answer["error"], hint=answer["hint"])


async def _exchange(path: Path, line: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path), limit=LARGEST_ANSWER)
    try:
        writer.write(line)
        return await reader.readline()
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def find(config: Path, *, system: bool, environ: Mapping[str, str]) -> Path:
    """Where the daemon that runs on this configuration listens.

    `system` says that it is the system's own configuration, whose daemon systemd gives a folder for its socket.
    """
    if given := environ.get("RUNTIME_DIRECTORY"):
        return place(Path(), given)
    beside_spool = place(_spool(config, environ), None)
    by_hand = os.path.exists(beside_spool)  # noqa: PTH110 - Path.exists raises where we may not look
    return RUNTIME_DIRECTORY / NAME if system and not by_hand else beside_spool


def _spool(config: Path, environ: Mapping[str, str]) -> Path:
    """`buffer.path` and nothing else: whoever asks may not be allowed to read the rest, as the private key."""
    said: object = environ.get("SERIAL2IOT_BUFFER__PATH")
    if said is None:
        try:
            said = tomllib.loads(config.read_text(encoding="utf-8-sig")).get("buffer", {}).get("path")
        except (OSError, ValueError, AttributeError):
            said = None  # `check` says what is wrong with it
    return config.absolute().parent / (said if isinstance(said, str) else SpoolOptions().path)


def _unreachable(path: Path, error: OSError) -> DaemonError:
    if isinstance(error, PermissionError):
        group = "run it with sudo, or join the group: sudo usermod -aG serial2iot $USER, then log in anew"
        return DaemonError("you may not ask the daemon", hint=group)
    if isinstance(error, (FileNotFoundError, ConnectionRefusedError, NotADirectoryError)):
        hint = f"start it: sudo systemctl start serial2iot (looked for {path})"
        return DaemonError("the daemon is not running", hint=hint)
    if isinstance(error, TimeoutError):
        return DaemonError("the daemon does not answer", hint="journalctl -u serial2iot says what it does")
    return DaemonError(f"the daemon cannot be asked at {path}: {error}", hint="journalctl -u serial2iot")
