"""The one place where the CRT's threads meet the event loop.

awscrt calls back on threads of its own. Everything it says is posted here and run on the loop, in the
order in which it was posted. A burst of calls (a hundred PUBACKs in one TCP segment) wakes the loop once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any


class Crossing:
    """Runs callables on the loop that were posted from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._posted: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._waking = False

    def post(self, call: Callable[..., None], *args: Any) -> None:
        """Have `call(*args)` run on the loop soon. After the loop has closed, nothing happens."""
        self._posted.append((call, args))
        if not self._waking:
            self._waking = True
            # The CRT outlives the loop by a moment when the process ends; there is nobody left to tell.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._run_posted)

    def _run_posted(self) -> None:
        # Lowered before the queue is read: what is posted from here on either is seen below or wakes again.
        self._waking = False
        while self._posted:
            call, args = self._posted.popleft()
            call(*args)
