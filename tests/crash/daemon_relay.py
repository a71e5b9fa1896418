"""A TCP relay between the daemon and the broker: the place where a connection is cut, held or refused.

It knows nothing of TLS. A PUBACK is one TLS record of some thirty bytes, so a few bytes of the next chunk from
the broker are a PUBACK that was cut in the middle.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

from serial2iot.emulator.ports import free_port, loopback_addresses

CHUNK = 65_536


class Relay:
    """Listens on `port`; what connects there reaches the TLS port of the cloud. Use as an async context manager."""

    def __init__(self, cloud_port: int) -> None:
        self.port = 0
        self.cuts = 0  # connections that ended inside an answer
        self._cloud_port = cloud_port
        self._shut = False
        self._answers = asyncio.Event()
        self._answers.set()
        self._cut_after: int | None = None
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self.port = free_port()
        self._server = await asyncio.start_server(self._accepted, loopback_addresses(), self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def shut(self) -> None:
        """Refuse new connections. Those that are there go on."""
        self._shut = True

    def open(self) -> None:
        """Take connections again."""
        self._shut = False

    def hold_answers(self) -> None:
        """Nothing of what the broker says reaches the daemon from now on."""
        self._answers.clear()

    def pass_answers(self) -> None:
        """Let the broker be heard again."""
        self._answers.set()

    def cut(self) -> None:
        """Reset every connection."""
        for link in self._links:
            link.transport.abort()

    def cut_inside_answer(self, after_bytes: int = 10) -> None:
        """Pass so many bytes of what the broker says next, no more, and reset the connection."""
        self._cut_after = after_bytes

    async def _accepted(self, reader: asyncio.StreamReader, device: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._links.add(device)
        try:
            if not self._shut:
                with contextlib.suppress(OSError):
                    await self._relay(reader, device)
        except asyncio.CancelledError:
            pass  # the server's own task: nobody waits for it
        finally:
            device.transport.abort()
            self._links.discard(device)
            self._tasks.discard(task)

    async def _relay(self, reader: asyncio.StreamReader, device: asyncio.StreamWriter) -> None:
        answers, broker = await asyncio.open_connection("127.0.0.1", self._cloud_port)
        self._links.add(broker)
        up = asyncio.create_task(self._ask(reader, broker), name="relay to the broker")
        down = asyncio.create_task(self._answer(answers, device), name="relay to the daemon")
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            broker.transport.abort()
            self._links.discard(broker)
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _ask(self, reader: asyncio.StreamReader, broker: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(CHUNK):
            broker.write(chunk)
            await broker.drain()

    async def _answer(self, answers: asyncio.StreamReader, device: asyncio.StreamWriter) -> None:
        while chunk := await answers.read(CHUNK):
            await self._answers.wait()
            if self._cut_after is not None:
                device.write(chunk[: self._cut_after])
                await device.drain()
                self._cut_after = None
                self.cuts += 1
                return
            device.write(chunk)
            await device.drain()
