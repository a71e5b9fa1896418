"""The real daemon as a process of its own, with a real notify socket: treated as systemd treats it.

That includes the descriptor store (`stored`), which outlives the process and is handed to the next one that is
started: FDSTORE=1 and FDSTOREREMOVE=1 of sd_notify(3), LISTEN_FDS of sd_listen_fds(3).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import signal
import socket
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 45.0  # a session that found no broker tries again after 3, 6, 12 and 24 s


class DaemonProcess:
    """`serial2iot run` under a configuration. Use as an async context manager; it never outlives the test."""

    def __init__(self, config: Path, **environment: str) -> None:
        self.config = config
        self.log: list[str] = []
        self.notified: list[str] = []
        self.stored: list[tuple[str, int]] = []
        self._environment = environment
        self._news = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._telling: asyncio.Future[None] | None = None
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
        self.empty_store()

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
            *self._handing_over(),
            *(sys.executable, "-m", "serial2iot", "run", "--config", str(self.config)),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=[fd for _, fd in self.stored],
        )
        asyncio.get_running_loop().add_reader(self._socket, self._read_notify)
        self._reading = asyncio.create_task(self._read_log())

    def empty_store(self) -> None:
        """What `systemctl stop` does to the descriptor store, or what is done by hand."""
        for _, fd in self.stored:
            os.close(fd)
        self.stored.clear()

    def _handing_over(self) -> list[str]:
        """The words before the command that give it what is stored as descriptors 3, 4, ... by name."""
        if not self.stored:
            return []
        names = ":".join(name for name, _ in self.stored)
        moves = " ".join(f"{number}<&{fd} {fd}<&-" for number, (_, fd) in enumerate(self.stored, 3))
        listen = f"LISTEN_PID=$$ LISTEN_FDS={len(self.stored)} LISTEN_FDNAMES={names}"
        return ["bash", "-c", f'export {listen}; exec "$@" {moves}', "bash"]

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def exit(self) -> int:
        """Wait for its end; the exit status, negative for a signal."""
        assert self._process is not None
        status = await asyncio.wait_for(self._process.wait(), PATIENCE_S)
        assert self._reading is not None
        await asyncio.wait_for(self._reading, PATIENCE_S)
        asyncio.get_running_loop().remove_reader(self._socket)
        self._read_notify()
        if self._telling is not None:
            await self._telling
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

    def _read_notify(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                message, fds, _, _ = socket.recv_fds(self._socket, 4096, 8)
                lines = message.decode().splitlines()
                self._keep(lines, fds)
                self.notified.extend(lines)
                self._telling = asyncio.ensure_future(self._tell())

    def _keep(self, lines: list[str], fds: list[int]) -> None:
        name = next((line[7:] for line in lines if line.startswith("FDNAME=")), "stored")
        if "FDSTORE=1" in lines:
            # Far from the numbers under which the next process is to find them.
            self.stored += [(name, fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100)) for fd in fds]
        if "FDSTOREREMOVE=1" in lines:
            for each in [each for each in self.stored if each[0] == name]:
                self.stored.remove(each)
                os.close(each[1])
        for fd in fds:
            os.close(fd)

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()
