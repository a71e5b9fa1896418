"""A Debian of another architecture in a chroot, its programs run by qemu-user.

What is written there is kept in a folder of the test's; the mounts live in a namespace that ends with each command.
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.system.machine import BUNDLE, ENVIRONMENT

_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_RULE = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")  # of Debian's qemu-user-static

# $0: the folder with upper, work and root; $1: the root below; $2: what it sees as /srv; the rest: the command.
_ENTER = """
set -e
lower=$1; shared=$2; shift 2
mount -t overlay -o "lowerdir=$lower,upperdir=$0/upper,workdir=$0/work" overlay "$0/root"
mount --rbind /dev "$0/root/dev"
mount -t proc proc "$0/root/proc"
mkdir -p "$0/root/srv"; mount --bind "$shared" "$0/root/srv"
cp /etc/resolv.conf "$0/root/etc/resolv.conf"; cp "$BUNDLE" "$0/root$BUNDLE"
exec chroot "$0/root" env -i "$@"
"""


def why_no_arm64() -> str:
    """Why programs for arm64 cannot be run here, or nothing."""
    if platform.machine() == "aarch64" or _RULE.exists():
        return ""
    return "needs qemu-user-static: sudo ./deploy.sh test --long installs it"


@contextlib.contextmanager
def arm64_programs_run() -> Iterator[None]:
    """For as long as this lasts the kernel starts programs for arm64; then it is as it was."""
    registered = _BINFMT / "qemu-aarch64"
    if platform.machine() == "aarch64" or registered.exists():
        yield
        return
    mounted = (_BINFMT / "register").exists()
    if not mounted:
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", _BINFMT], check=True)
    (_BINFMT / "register").write_text(_RULE.read_text().strip())
    try:
        yield
    finally:
        registered.write_text("-1")
        if not mounted:
            subprocess.run(["umount", _BINFMT], check=True)


class ForeignRoot:
    """A root that can be written to. `place` keeps it; `shared` is its /srv."""

    def __init__(self, root: Path, place: Path, shared: Path) -> None:
        self._root = root
        self._place = place
        self._shared = shared
        for name in ("upper", "work", "root"):
            (place / name).mkdir(parents=True)

    async def start(self, *command: str) -> asyncio.subprocess.Process:
        """A command in it, as a child of ours with its own process id; both its streams are `stdout`."""
        settings = [f"{name}={value}" for name, value in ENVIRONMENT.items() if name != "PIP_CACHE_DIR"]
        return await asyncio.create_subprocess_exec(
            *("unshare", "--mount", "--propagation=private", "sh", "-c", _ENTER),
            *(str(self._place), str(self._root), str(self._shared), *settings, *command),
            env={"PATH": ENVIRONMENT["PATH"], "BUNDLE": BUNDLE},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def run(self, *command: str, within_s: float = 300.0) -> str:
        """What a command says. Raises AssertionError if it fails."""
        process = await self.start(*command)
        try:
            said, _ = await asyncio.wait_for(process.communicate(), within_s)
        except BaseException:
            process.kill()
            await process.wait()
            raise
        assert process.returncode == 0, said.decode(errors="replace")
        return said.decode(errors="replace")
