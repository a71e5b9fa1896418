"""The host's end of a serial line, for tests of boards: reads whole lines, with a deadline on everything."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Self


class SerialLine:
    """Opens a device as it is: nothing is flushed, so all that was said since it was plugged in is read."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._unread = bytearray()
        self._news = asyncio.Event()
        self.hung_up = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._fd, self._read)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # EIO: the other end hung up
            data = b""
        self._unread += data
        self._news.set()
        if not data:
            self.hung_up.set()
            asyncio.get_running_loop().remove_reader(self._fd)

    async def bytes(self, count: int, *, within_s: float = 10.0) -> bytes:
        """The next `count` bytes."""
        async with asyncio.timeout(within_s):
            while len(self._unread) < count:
                await self._wait()
        taken = bytes(self._unread[:count])
        del self._unread[:count]
        return taken

    async def line(self, *, within_s: float = 10.0) -> str:
        """The next line, without its end."""
        async with asyncio.timeout(within_s):
            while (end := self._unread.find(b"\n")) < 0:
                await self._wait()
        return (await self.bytes(end + 1)).decode("utf-8", "replace").rstrip("\r\n")

    async def lines(self, count: int) -> list[str]:
        """The next lines."""
        return [await self.line() for _ in range(count)]

    async def until(self, wanted: str) -> list[str]:
        """All lines up to the one that is wanted, which comes last."""
        seen = [await self.line()]
        while seen[-1] != wanted:
            seen.append(await self.line())
        return seen

    async def say(self, data: bytes, *, within_s: float = 10.0) -> None:
        """Write everything, waiting for room as often as needed."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(within_s):
            while data:
                try:
                    data = data[os.write(self._fd, data) :]
                except BlockingIOError:
                    room = asyncio.Event()
                    loop.add_writer(self._fd, room.set)
                    try:
                        await room.wait()
                    finally:
                        loop.remove_writer(self._fd)

    async def _wait(self) -> None:
        if self.hung_up.is_set():
            raise EOFError(f"the line hung up after {bytes(self._unread)!r}")
        self._news.clear()
        await self._news.wait()
