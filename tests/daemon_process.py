"""The real daemon as a process of its own, with a real notify socket: treated as systemd treats it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 20.0


class DaemonProcess:
    """`serial2iot run` under a configuration. Use as an async context manager; it never outlives the test."""

    def __init__(self, config: Path, **environment: str) -> None:
        self.config = config
        self.log: list[str] = []
        self.notified: list[str] = []
        self._environment = environment
        self._news = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind("\0" + f"serial2iot-test-{os.getpid()}-{id(self)}")

    async def __aenter__(self) -> DaemonProcess:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.running:
            self.signal(signal.SIGKILL)
            await self.exit()
        self._socket.close()

    @property
    def running(self) -> bool:
        """Whether there is a process that has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it; `heard("READY=1")` tells when it is up."""
        name = self._socket.getsockname()
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "daemon"),
            "NOTIFY_SOCKET": "@" + name[1:].decode(),
            **self._environment,
        }
        self._process = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "KILL"),  # also when the test run itself is killed
            *(sys.executable, "-m", "serial2iot", "run", "--config", str(self.config)),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._tasks = [asyncio.create_task(self._read_log()), asyncio.create_task(self._read_notify())]

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def exit(self) -> int:
        """Wait for its end; the exit status, negative for a signal."""
        assert self._process is not None
        status = await asyncio.wait_for(self._process.wait(), PATIENCE_S)
        await asyncio.wait_for(self._tasks[0], PATIENCE_S)
        self._tasks[1].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._tasks[1]
        return status

    async def stop(self) -> int:
        """What `systemctl stop` does."""
        self.signal(signal.SIGTERM)
        return await self.exit()

    async def heard(self, message: str) -> None:
        """Wait for an sd_notify message that begins so."""
        await self._until(lambda: any(line.startswith(message) for line in self.notified), message)

    async def said(self, pattern: str, *, times: int = 1) -> str:
        """Wait for a log line that matches, or for the second or third such one; the last of them."""
        expression = re.compile(pattern)

        def matching() -> list[str]:
            return [line for line in self.log if expression.search(line)]

        await self._until(lambda: len(matching()) >= times, f"{pattern} ({times} times)")
        return matching()[times - 1]

    async def _until(self, condition: object, what: str) -> None:
        assert callable(condition)
        try:
            async with asyncio.timeout(PATIENCE_S), self._news:
                await self._news.wait_for(lambda: condition() or not self.running)
        except TimeoutError:
            pass
        assert condition(), f"never came: {what}\nlog:\n" + "\n".join(self.log[-40:])

    async def _read_log(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.log.append(line.decode(errors="replace").rstrip())
            await self._tell()
        await self._process.wait()
        await self._tell()

    async def _read_notify(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            message = await loop.sock_recv(self._socket, 4096)
            self.notified.extend(message.decode().splitlines())
            await self._tell()

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()
