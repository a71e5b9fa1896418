"""File systems that a test may fill, break and copy: ext4 in a file, mounted through a loop device."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path


def why_no_disks(scratch: Path) -> str:
    """Why loop-mounted file systems cannot be had here, as whoever refused says it; empty if they can."""
    if os.geteuid() != 0:
        return "mounting needs root"
    try:
        with LoopDisk(scratch / "try.img", megabytes=8).made().mounted(scratch / "try"):
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return f"{error}: {getattr(error, 'stderr', '')}"
    finally:
        (scratch / "try.img").unlink(missing_ok=True)


class LoopDisk:
    """An ext4 file system in a file. The file holds what has reached the device, and nothing more."""

    def __init__(self, image: Path, megabytes: int) -> None:
        self.image = image
        self._megabytes = megabytes

    def made(self) -> "LoopDisk":
        """Make the file system, empty."""
        with self.image.open("wb") as file:
            file.truncate(self._megabytes << 20)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", self.image)
        return self

    def copied(self, to: Path) -> "LoopDisk":
        """What a power cut at this moment would leave. Copied again if the device was written meanwhile."""
        while True:
            before = self._writes()
            _run("cp", "--sparse=always", self.image, to)
            if self._writes() == before:
                return LoopDisk(to, self._megabytes)

    @contextlib.contextmanager
    def mounted(self, at: Path, options: str = "") -> Iterator[Path]:
        """Mount it for as long as the context lasts."""
        at.mkdir(exist_ok=True)
        _run("mount", "-o", "loop" + (f",{options}" if options else ""), self.image, at)
        try:
            yield at
        finally:
            _run("umount", at)

    def stop(self) -> None:
        """Have ext4 find an error while it is mounted: it takes no more writes, whatever the mount says."""
        (Path("/sys/fs/ext4") / self._device().name / "trigger_fs_error").write_text("by a test\n")

    def mend(self) -> None:
        """What a person does then, after unmounting it."""
        subprocess.run(["e2fsck", "-fy", self.image], check=False, capture_output=True)

    def _writes(self) -> list[str]:
        """The write counters of the loop device."""
        return (self._device() / "stat").read_text().split()[4:7]

    def _device(self) -> Path:
        for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
            if backing.read_text().strip() == str(self.image):
                return backing.parent.parent
        raise FileNotFoundError(f"no loop device for {self.image}")


def remount(at: Path, options: str) -> None:
    """Change how a file system is mounted."""
    _run("mount", "-o", f"remount,{options}", at)


def set_attribute(attribute: str, *files: Path) -> None:
    """Change an attribute of ext4: `+i` lets nobody change a file, root included."""
    _run("chattr", attribute, *files)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
