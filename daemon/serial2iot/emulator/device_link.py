"""Where a simulated board appears: a symbolic link to its pty, as udev makes one for a real board."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from serial2iot.errors import EmulatorError


def place_link(link: Path, device: str) -> None:
    """Make `link` lead to `device`. Replaces what an earlier board left there, and nothing else.

    Raises EmulatorError when something else is in the way or the path cannot be written.
    """
    try:
        if os.path.lexists(link) and not (link.is_symlink() and str(link.readlink()).startswith("/dev/pts/")):
            raise EmulatorError(
                f"{link} is there already, and is not a simulated board",
                hint="unplug the real board, or give the simulated one another path",
            )
        fresh = link.with_name(f".{link.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(device)
        fresh.replace(link)
    except OSError as error:
        raise EmulatorError(
            f"the simulated board cannot appear at {link}: {error.strerror}",
            hint=f"give a path in a directory that exists and that you may write to, not {link.parent}",
        ) from error


def remove_link(link: Path, device: str) -> None:
    """Take `link` away, unless it leads to something else by now."""
    with contextlib.suppress(OSError):
        if str(link.readlink()) == device:
            link.unlink()
