"""What tests with real firmware share: the toolchain or a reason, and Debian's example sketches."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from serial2iot.emulator.debian import default_cache
from serial2iot.emulator.toolchain import missing_tools

_INSTALLED_EXAMPLES = Path("/usr/share/doc/arduino/examples")


def need_toolchain() -> None:
    """Skips the test where the tools are missing, except in CI: there it fails."""
    if missing := missing_tools():
        _absent(f"packages are missing: {' '.join(missing)}")


def stock_examples() -> Path:
    """The sketches of Debian's `arduino` package. Unpacked, not installed: it would bring Java along."""
    if _INSTALLED_EXAMPLES.is_dir():
        return _INSTALLED_EXAMPLES
    home = default_cache() / "arduino-package"
    examples = home / "usr/share/doc/arduino/examples"
    if not examples.is_dir():
        home.mkdir(parents=True, exist_ok=True)
        got = subprocess.run(
            ["apt-get", "download", "-q", "arduino"], cwd=home, capture_output=True, text=True, check=False
        )
        packages = sorted(home.glob("arduino_*.deb"))
        if got.returncode or not packages:
            _absent(f"Debian's package arduino cannot be had (apt-get update?): {got.stderr.strip()}")
        subprocess.run(["dpkg-deb", "-x", packages[-1], home], check=True)
        for package in packages:
            package.unlink()
    return examples


def _absent(why: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
