"""The broker: one mosquitto, our child, with its own files and nothing in common with the system's service.

A plain listener on loopback, for the front, the services of this cloud, observers and benchmarks. Where there is no
front, a second one: MQTT over TLS for devices, which must show a certificate of our authority.

Rules:

1. It dies with us, whatever kills us: the kernel does that (PR_SET_PDEATHSIG), not our good manners.
2. It stays on its ports over any number of restarts.
3. Who follows it (our services, our observers) has noticed when it is down, and is back when it is up again:
   what is published after a restart meets every rule.
4. It keeps everything it is given (no bound on queues), and nothing over its own end (no persistence).
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from serial2iot.emulator.debian import Program
from serial2iot.emulator.pki import Credentials
from serial2iot.emulator.ports import free_port, is_free, loopback_addresses
from serial2iot.errors import EmulatorError

START_WITHIN_S = 5.0
STOP_WITHIN_S = 2.0
CHOICES_OF_PORTS = 20
_POLL_S = 0.002  # it is up after 10 ms

# Without set_tcp_nodelay a small message waits for the delayed ACK of the one before: 46 a second.
# With max_inflight_messages 0, CONNACK holds no receive maximum.
_GENERAL = """\
per_listener_settings true
set_tcp_nodelay true
max_queued_messages 0
max_inflight_messages 0
persistence false
sys_interval 0
log_dest stderr
log_timestamp_format %Y-%m-%dT%H:%M:%S
"""


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """Where it is, and how devices reach it where there is no front: then `server` is given.

    `acl` is the text of an ACL file for devices, which are users named by their thing; without one they may
    do everything. `listener_lines` are added to the devices' listener as they are.
    """

    directory: Path  # for its configuration and log, named by port
    server: Credentials | None = None
    port: int = 0  # 0: a free one
    acl: str | None = None
    listener_lines: tuple[str, ...] = ()


class Follower(Protocol):
    """A client of the broker that comes back by itself."""

    async def up(self) -> None:
        """Wait until it is connected and subscribed."""

    async def down(self) -> None:
        """Wait until it has noticed that the broker is gone."""


class PortTakenError(EmulatorError):
    """Somebody else listens where we should."""


def port_taken(port: int) -> PortTakenError:
    """Return the error for a port that somebody has."""
    return PortTakenError(
        f"port {port} is in use",
        hint=f"see who has it (ss -ltnp sport = :{port}), or choose another",
    )


class Broker:
    """One mosquitto at a time. The ports are known once it was started; `port` is 0 without devices' listener."""

    def __init__(self, program: Program, options: BrokerOptions) -> None:
        self.port = 0
        self.plain_port = 0
        self.followers: list[Follower] = []
        self._program = program
        self._options = options
        self._acl = options.acl
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process id, None while it is down."""
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def log_file(self) -> Path:
        """What mosquitto logs; it goes on over restarts."""
        return self._file("log")

    def log_tail(self, lines: int = 5) -> str:
        """Return the last lines of its log."""
        with suppress(FileNotFoundError):
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])
        return ""

    async def start(self) -> None:
        """Start it, on the ports it had if it ran before. Nothing happens if it is up.

        Raises EmulatorError if it does not come up.
        """
        if self.pid:
            return
        if self.plain_port:
            await self._launch()
        else:
            await self._choose_ports_and_launch()
        await self.followed()

    async def followed(self) -> None:
        """Wait until every follower is up. Raises EmulatorError if that takes too long."""
        try:
            async with asyncio.timeout(START_WITHIN_S):
                for follower in self.followers:
                    await follower.up()
        except TimeoutError:
            raise EmulatorError(
                f"the services did not reach mosquitto in {START_WITHIN_S} s: {self.log_tail()}",
                hint=f"its log is {self.log_file}",
            ) from None

    async def stop(self) -> None:
        """End it as an administrator would, and wait for that. Nothing happens if it is down."""
        if self._process is not None and self.pid:
            self._process.terminate()
            self._process.send_signal(signal.SIGCONT)  # a frozen one would keep the first signal for later
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), STOP_WITHIN_S)
        await self.kill()

    async def kill(self) -> None:
        """End it as a crash would, and wait for that. Nothing happens if it is down."""
        if self._process is None:
            return
        if self.pid:
            self._process.kill()
            await self._process.wait()
        for follower in self.followers:
            await follower.down()

    async def restart(self) -> None:
        """Stop it and start it again on the same ports."""
        await self.stop()
        await self.start()

    async def freeze(self) -> None:
        """Let it hang: connections stay open and nothing is answered."""
        self._signal(signal.SIGSTOP)

    async def thaw(self) -> None:
        """Let it go on after `freeze`."""
        self._signal(signal.SIGCONT)

    async def set_acl(self, acl: str) -> None:
        """Replace the ACL; connected devices stay connected. Only for a broker that was made with one."""
        assert self._acl is not None, "a broker without an ACL cannot get one while it runs"
        self._acl = acl
        self._write_acl()
        self._signal(signal.SIGHUP)

    async def wait(self) -> None:
        """Wait until the running process ends, for whatever reason."""
        if self._process is not None:
            await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self.pid:
            self._process.send_signal(number)

    async def _choose_ports_and_launch(self) -> None:
        for choices_left in reversed(range(CHOICES_OF_PORTS)):
            self.plain_port = free_port()
            if self._options.server:
                self.port = self._options.port or free_port()
            try:
                await self._launch()
                break
            except PortTakenError:
                # Another process was faster. A port that was given is not exchanged for another.
                if not choices_left or (self._options.port and not is_free(self._options.port)):
                    raise

    async def _launch(self) -> None:
        self._options.directory.mkdir(parents=True, exist_ok=True)
        self._write_acl()
        self._file("conf").write_text(self._configuration())
        with self.log_file.open("ab") as log:
            begin = log.tell()
            # setpriv and not preexec_fn, which may deadlock in a process that has threads. A session of its
            # own keeps a Ctrl-C at our terminal from ending it before we do.
            command = ("setpriv", "--pdeathsig", "KILL", self._program.path, "-c", self._file("conf"))
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=self._program.environment(),
                    start_new_session=True,
                )
            except FileNotFoundError as error:
                raise EmulatorError("there is no setpriv", hint="install util-linux") from error
        try:
            async with asyncio.timeout(START_WITHIN_S):
                await self._until_running(begin)
        except TimeoutError:
            await self.kill()
            raise EmulatorError(
                f"mosquitto did not come up in {START_WITHIN_S} s: {self.log_tail()}",
                hint=f"its log is {self.log_file}",
            ) from None
        except BaseException:
            await self.kill()
            raise

    async def _until_running(self, begin: int) -> None:
        """Wait until the log says so: a port that answers could be somebody else's."""
        while " running" not in (said := self.log_file.read_bytes()[begin:].decode(errors="replace")):
            if self.pid is None:
                if "Address already in use" in said:
                    raise port_taken(self.port or self.plain_port)
                raise EmulatorError(f"mosquitto did not come up: {said}", hint=f"its log is {self.log_file}")
            await asyncio.sleep(_POLL_S)

    def _file(self, suffix: str) -> Path:
        return self._options.directory / f"{self.port or self.plain_port}.{suffix}"

    def _write_acl(self) -> None:
        if self._acl is not None:
            self._file("acl").touch(mode=0o600)
            self._file("acl").write_text(self._acl)

    def _configuration(self) -> str:
        general = _GENERAL
        if os.geteuid() == 0:
            # It would change to a user who cannot read the keys, and the change would undo PR_SET_PDEATHSIG.
            general += "user root\n"
        listeners = [(f"{self.plain_port} 127.0.0.1", ["allow_anonymous true"])]
        if (server := self._options.server) is not None:
            lines = self._device_listener(server)
            listeners += [(f"{self.port} {address}", lines) for address in loopback_addresses()]
        return general + "".join(
            f"\nlistener {where}\n" + "\n".join(lines) + "\n" for where, lines in listeners
        )

    def _device_listener(self, server: Credentials) -> list[str]:
        return [
            f"cafile {server.root_ca}",
            f"certfile {server.certificate}",
            f"keyfile {server.private_key}",
            "require_certificate true",
            "use_identity_as_username true",
            *([f"acl_file {self._file('acl')}"] if self._acl is not None else []),
            *self._options.listener_lines,
        ]
