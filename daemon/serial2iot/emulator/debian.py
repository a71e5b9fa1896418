"""Finds mosquitto, or unpacks Debian's packages of it without root and without installing anything.

Nothing here starts, enables or stops a service. What is unpacked stays in a cache and is used again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from serial2iot.errors import EmulatorError

SYSTEM_FOLDERS = (
    "/usr/local/sbin",
    "/usr/sbin",
    "/sbin",
)  # daemons live there, and users' PATHs leave them out
_HINT = "install mosquitto 2 (sudo apt-get install --no-install-recommends mosquitto)"


@dataclass(frozen=True, slots=True)
class Program:
    """A program that can be started, and the folders its libraries are in, if they are not the system's."""

    path: Path
    libraries: tuple[Path, ...] = ()

    def environment(self) -> dict[str, str]:
        """Return the environment to start it in."""
        if not self.libraries:
            return dict(os.environ)
        known = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
        folders = [*map(str, self.libraries), *filter(None, known)]
        return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(folders)}


def default_cache() -> Path:
    """Return where unpacked packages are kept: $XDG_CACHE_HOME/serial2iot, ~/.cache/serial2iot by default."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "serial2iot"


def find_mosquitto(cache: Path) -> Program:
    """Return mosquitto from the system, else from `cache`, else from Debian's packages.

    Blocks; the last takes 2 s. Raises EmulatorError where none of these has it.
    """
    folders = [os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS]
    if found := shutil.which("mosquitto", path=os.pathsep.join(folders)):
        return Program(Path(found))
    root = cache / "mosquitto"
    program = root / "usr/sbin/mosquitto"
    if not program.is_file():
        _unpack("mosquitto", root)
    return Program(program, tuple(sorted({library.parent for library in root.rglob("*.so*")})))


def _unpack(package: str, root: Path) -> None:
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent) as folder:
        _run("apt-get", "download", package, *_missing_libraries(package), cwd=folder)
        for archive in sorted(Path(folder).glob("*.deb")):
            _run("dpkg", "-x", str(archive), f"{folder}/root", cwd=folder)
        if not Path(folder, "root/usr/sbin", package).is_file():
            raise EmulatorError(f"Debian's package {package} has no {package} in it", hint=_HINT)
        shutil.rmtree(root, ignore_errors=True)
        Path(folder, "root").rename(root)


def _missing_libraries(package: str) -> list[str]:
    """Return the libraries that the package needs, directly or not, and that the system does not have."""
    missing: list[str] = []
    asked = [package]
    while asked:
        listing = _run("apt-cache", "depends", "--important", asked.pop())
        needed = {line.split()[-1] for line in listing.splitlines() if "Depends: lib" in line}
        news = sorted(needed.difference(missing, _installed(needed)))
        missing += news
        asked += news
    return missing


def _installed(packages: set[str]) -> set[str]:
    if not packages:
        return set()
    query = ("dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *packages)
    result = subprocess.run(query, capture_output=True, text=True, check=False)  # 1: some are unknown
    return {line.split()[0] for line in result.stdout.splitlines() if line.endswith(" installed")}


def _run(*command: str, cwd: str | None = None) -> str:
    try:
        result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise EmulatorError(
            f"mosquitto is not installed, and there is no {command[0]}", hint=_HINT
        ) from error
    if result.returncode:
        raise EmulatorError(
            f"mosquitto is not installed, and {' '.join(command[:2])} failed: {result.stderr.strip()[-300:]}",
            hint=f"{_HINT}, or update the package lists (sudo apt-get update)",
        )
    return result.stdout
