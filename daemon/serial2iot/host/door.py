"""The daemon's socket: where commands ask the running daemon.

An AF_UNIX stream at `$RUNTIME_DIRECTORY/serial2iot.sock` under systemd, else beside the spool. One JSON object a
line, request and answer by turns:

    {"do": "status"}
    {"ok": true, "result": {...}}
    {"ok": false, "error": "...", "hint": "...", "kind": "ConfigError"}

Rules:

1. Only root and the socket's group may ask (mode 0660): there is no other check.
2. A client costs the daemon a task and at most `LARGEST` bytes; one that is slow, silent or gone is let go after
   `PATIENCE_S`, and there are at most `MOST_CLIENTS`.
3. Nothing a client says ends the daemon, and a socket that cannot be made does not either.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeAlias

import structlog

from serial2iot.errors import Serial2IotError

log = structlog.get_logger()

NAME = "serial2iot.sock"
MODE = 0o660
LARGEST = 256 << 10  # bytes of a request; the largest is a reading published by hand
PATIENCE_S = 10.0
MOST_CLIENTS = 16

Request: TypeAlias = Mapping[str, Any]
Answer: TypeAlias = "Callable[[Request], Awaitable[Mapping[str, object]]]"


def place(spool: Path, runtime_directory: str | None) -> Path:
    """Where the daemon's socket is: systemd's folder for it (systemd.exec(5), the first one), or the spool's."""
    folder = Path(runtime_directory.split(":")[0]) if runtime_directory else spool.parent
    return folder / NAME


class Door:
    """Listens, and hands each request to the one of `answers` that it names in `do`."""

    def __init__(self, path: Path, answers: Mapping[str, Answer], *, patience_s: float = PATIENCE_S) -> None:
        self._path = path
        self._answers = answers
        self._patience_s = patience_s
        self._visits: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Begin to listen. Where that fails it is said, and the daemon goes on without."""
        try:
            listening = _listen(self._path)
        except OSError as error:
            hint = "status, reload and publish cannot reach this daemon; it works all the same"
            log.warning("socket_failed", path=str(self._path), reason=str(error), hint=hint)
            return
        self._server = await asyncio.start_unix_server(self._visit, sock=listening, limit=LARGEST)

    async def close(self) -> None:
        """Listen no more, and send everyone away."""
        if self._server is None:
            return
        self._server.close()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        for visit in self._visits:
            visit.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)
        await self._server.wait_closed()

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._visits.add(task)
        writer.transport.set_write_buffer_limits(0)  # drain() then means: all of it is with the client
        try:
            if len(self._visits) <= MOST_CLIENTS:
                await self._serve(reader, writer)
        except (TimeoutError, OSError, ValueError, asyncio.CancelledError):
            pass  # silent, gone, longer than LARGEST, or the daemon stops: in each case that was all
        finally:
            self._visits.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(self._patience_s):
                line = await reader.readline()
            if not line.endswith(b"\n"):
                return
            answer = await self._answer(line)
            writer.write(json.dumps(answer).encode() + b"\n")
            async with asyncio.timeout(self._patience_s):
                await writer.drain()

    async def _answer(self, line: bytes) -> Mapping[str, object]:
        try:
            request = json.loads(line)
            answer = self._answers[request["do"]]
        except (ValueError, TypeError, LookupError, RecursionError):
            known = ", ".join(self._answers)
            return _refusal(Serial2IotError("not understood", hint=f'say {{"do": one of {known}}}'))
        try:
            return {"ok": True, "result": await answer(request)}
        except Serial2IotError as error:
            return _refusal(error)
        except Exception as error:
            log.exception("answer_failed", asked=request["do"])
            return _refusal(Serial2IotError(f"the daemon failed to answer: {error}", hint="see its log"))


def _refusal(error: Serial2IotError) -> Mapping[str, object]:
    return {"ok": False, "error": str(error), "hint": error.hint, "kind": type(error).__name__}


def _listen(path: Path) -> socket.socket:
    """A listening socket, in the place of one that a killed daemon left. Raises OSError."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        # unix(7): bind takes over the descriptor's mode, less the umask, so at no moment may others connect.
        os.fchmod(listening.fileno(), MODE)
        _clear(path)
        listening.bind(str(path))
        path.chmod(MODE)
        listening.listen(MOST_CLIENTS)
    except BaseException:
        listening.close()
        raise
    return listening


def _clear(path: Path) -> None:
    """Remove a socket on which nobody listens. Raises OSError where somebody does."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        trial.settimeout(1.0)
        try:
            trial.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
    raise OSError(errno.EADDRINUSE, "another daemon answers there")
