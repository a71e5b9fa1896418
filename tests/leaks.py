"""Nothing is left behind: descriptors, tasks and children are counted around every test."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from pathlib import Path


def open_descriptors() -> Counter[str]:
    """What the descriptors of this process point to."""
    targets: Counter[str] = Counter()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            targets[str(entry.readlink())] += 1
        except OSError:
            continue  # the scan's own
    return targets


def children() -> set[int]:
    """The process ids of our children."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


def tasks_left() -> list[str]:
    """Tasks of the running loop beside the current one."""
    current = asyncio.current_task()
    return [task.get_name() for task in asyncio.all_tasks() if task is not current and not task.done()]
