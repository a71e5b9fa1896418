"""The one thread that waits for the disk, so that the loop never does.

Jobs run one after another in the order they were given. The thread is a daemon thread: a disk that never
answers must not keep the process from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """Runs calls in its thread, from the first one until `stop`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def call(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Start a call; what it returns or raises."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            try:
                result = job(*args, **kwargs)
            except BaseException as error:
                tell(loop, _fail, future, error)
            else:
                tell(loop, _resolve, future, result)

        self._jobs.put(work)
        return future

    def stop(self) -> None:
        """Let the thread end after the jobs that were given."""
        self._jobs.put(None)
        self._thread = None

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def tell(loop: asyncio.AbstractEventLoop, say: Callable[..., None], *what: object) -> None:
    """Call on the loop, unless it is gone: then nobody waits for the answer any more."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(say, *what)


def _resolve(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
