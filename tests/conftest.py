"""Around every test: nothing may be left behind. And the fixtures that rooms share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.cloud_fixture import cloud, cloud_directory  # noqa: F401 - fixtures are found by their names
from tests.leaks import children, open_descriptors
from tests.scene import scene  # noqa: F401


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    """No descriptor and no child more than before. pytest-asyncio's loop is made before and closed after."""
    before, our_children = open_descriptors(), children()
    yield
    if open_descriptors() - before:
        gc.collect()  # what is only kept by a cycle is no leak
    more = open_descriptors() - before
    kept = {target: count for target, count in more.items() if not _of_the_loop(target)}
    assert not kept, f"descriptors left open: {kept}"
    assert children() <= our_children, "a child process was left running"


def _of_the_loop(target: str) -> bool:
    # The CRT keeps its epoll and pipes until its threads have ended, and its source of randomness for good.
    return target.startswith(("anon_inode:", "pipe:", "socket:", "/dev/urandom"))
