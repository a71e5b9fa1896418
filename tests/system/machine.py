"""A whole Debian with its own systemd as PID 1, in a container: the stage of tests/system.

    root = debian_root("bookworm")                       # made once by mmdebstrap, then from a cache
    async with Machine(root, place, binds) as machine:
        await machine.run("systemctl", "is-active", "serial2iot")

Rules:

1. What is written in a machine is gone with it: its root is an overlay in memory over the cached one.
2. It shares the network with us, so that the emulator on our loopback is the cloud for it.
3. When it is left, its processes, mounts and control groups are gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Self

PACKAGES = "systemd,systemd-sysv,dbus,libpam-systemd,polkitd,udev,procps,ca-certificates,python3"
"""As on a fresh Raspberry Pi OS Lite, and no more: `deploy.sh install` brings what it needs."""

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PIP_CERT": BUNDLE,  # ours, bound in: a network may have an authority of its own
    "PIP_CACHE_DIR": "/var/cache/pip",
}
BOOT_S = 30.0
PATIENCE_S = 60.0

# In a mount namespace of its own: the unified hierarchy also where the host has the old one, and no sign of the
# host's systemd, with which nspawn would register.
_BOOT = """
set -e
umount -l /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p "/sys/fs/cgroup/$0"; echo $$ >"/sys/fs/cgroup/$0/cgroup.procs"
mkdir -p /run/systemd; mount -t tmpfs tmpfs /run/systemd
exec "$@"
"""
_CLEAN = """
umount -l /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup
[ ! -d "/sys/fs/cgroup/$0" ] || find "/sys/fs/cgroup/$0" -depth -type d -exec rmdir {} +
"""


def why_not() -> str:
    """Why no machine can be booted here, or nothing."""
    if os.geteuid() != 0:
        return "needs root: sudo ./deploy.sh test --long"
    missing = [name for name in ("mmdebstrap", "systemd-nspawn", "nsenter") if not shutil.which(name)]
    return f"needs {', '.join(missing)}: sudo ./deploy.sh test --long installs it" if missing else ""


def cache() -> Path:
    """Where roots and downloads are kept from run to run."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "serial2iot" / "system"


def debian_root(suite: str, architecture: str = "", packages: str = PACKAGES) -> Path:
    """The root file system of a Debian release. Made in half a minute where the cache has none.

    `architecture` other than ours needs its emulator and takes minutes.
    """
    root = cache() / (f"{suite}-{architecture}" if architecture else suite)
    if not root.is_dir():
        root.parent.mkdir(parents=True, exist_ok=True)
        making = root.with_suffix(".new")
        shutil.rmtree(making, ignore_errors=True)
        options = [f"--include={packages}", *([f"--architectures={architecture}"] if architecture else [])]
        subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", *options, suite, str(making)],
            check=True,
            timeout=500,
        )
        (making / "etc/hosts").write_text("127.0.0.1 localhost\n")
        making.rename(root)
    return root


class Machine:
    """One container, booted for as long as its context lasts. `binds` are paths of ours by paths of its."""

    def __init__(self, root: Path, place: Path, binds: Mapping[str, Path]) -> None:
        self.name = f"serial2iot-{root.name}-{os.getpid()}"
        self.console = place / f"{root.name}-console.log"
        self._root = root
        self._binds = binds
        self._nspawn: asyncio.subprocess.Process | None = None
        self._leader = 0

    async def __aenter__(self) -> Self:
        try:
            await self._boot()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def _boot(self) -> None:
        pip_cache = cache() / "pip"
        pip_cache.mkdir(parents=True, exist_ok=True)
        binds = [f"--bind={ours}:{its}" for its, ours in self._binds.items()]
        with self.console.open("wb") as console:
            self._nspawn = await asyncio.create_subprocess_exec(
                *("unshare", "--mount", "--propagation=private", "sh", "-c", _BOOT, self.name),
                *("systemd-nspawn", f"--directory={self._root}", "--boot", f"--machine={self.name}"),
                *("--register=no", "--keep-unit", "--link-journal=no", "--console=passive"),
                *("--volatile=overlay", "--resolv-conf=copy-host", "--kill-signal=SIGRTMIN+3"),
                *(
                    "--capability=CAP_BPF,CAP_PERFMON",
                    f"--bind-ro={BUNDLE}",
                    f"--bind={pip_cache}:/var/cache/pip",
                ),
                *binds,
                # Its own filter would forbid bpf(2), and DeviceAllow= would then not be enforced, silently.
                env={**os.environ, "SYSTEMD_SECCOMP": "0"},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        async with asyncio.timeout(BOOT_S):
            while not (leader := _first_process(self._nspawn.pid)):
                assert self._nspawn.returncode is None, self.console.read_text(errors="replace")
                await asyncio.sleep(0.02)
            self._leader = leader
            while (await self.run("systemctl", "is-system-running", check=False)).strip() not in (
                "running",
                "degraded",  # a container has no devices, and some units miss them
            ):
                await asyncio.sleep(0.1)

    async def run(
        self, *command: str, check: bool = True, within_s: float = PATIENCE_S, **environment: str
    ) -> str:
        """What a command in the machine says, on both streams. Raises AssertionError if it fails and `check`."""
        status, said = await self.status(*command, within_s=within_s, **environment)
        assert status == 0 or not check, f"{' '.join(command)} exited {status}:\n{said}"
        return said

    async def status(
        self, *command: str, within_s: float = PATIENCE_S, **environment: str
    ) -> tuple[int, str]:
        """Exit status of a command in the machine, and what it said."""
        settings = [f"{name}={value}" for name, value in {**ENVIRONMENT, **environment}.items()]
        process = await asyncio.create_subprocess_exec(
            *("nsenter", "--all", f"--target={self._leader}", "--", "env", "-i", *settings, *command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), within_s)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        assert process.returncode is not None
        return process.returncode, said.decode(errors="replace")

    async def _end(self) -> None:
        """Power off; pull the plug if that takes too long."""
        nspawn = self._nspawn
        if nspawn is None:
            return
        if nspawn.returncode is None and self._leader:
            with contextlib.suppress(TimeoutError, AssertionError, ProcessLookupError):
                await self.run("systemctl", "poweroff", check=False, within_s=10)
                await asyncio.wait_for(nspawn.wait(), 20)
        if nspawn.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._leader or nspawn.pid, signal.SIGKILL)
            await nspawn.wait()
        clean = ("unshare", "--mount", "--propagation=private", "sh", "-c", _CLEAN, self.name)
        await (await asyncio.create_subprocess_exec(*clean)).wait()


def _first_process(nspawn: int) -> int:
    """The process that is PID 1 in the container of a systemd-nspawn, or 0 while there is none."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for child in Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split():
            status = Path(f"/proc/{child}/status").read_text()
            inside = next((line for line in status.splitlines() if line.startswith("NSpid:")), "")
            if inside.split()[-1:] == ["1"]:
                return int(child)
    return 0
