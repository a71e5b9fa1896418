"""The cloud on this machine, as fixtures.

    async def test_x(cloud: Emulator) -> None: ...

`conftest.py` imports them. A test that needs another cloud (other rules, an ACL) makes its own in
`cloud_directory`, which holds certificates already.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from serial2iot.emulator.cloud import Emulator, EmulatorOptions


@pytest.fixture(scope="session")
def cloud_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose certificates are made by the first test that needs them."""
    return tmp_path_factory.mktemp("cloud")


@pytest_asyncio.fixture
async def cloud(cloud_directory: Path) -> AsyncIterator[Emulator]:
    """An emulator with the project's rules and no shadow yet, for the thing RPI."""
    async with Emulator(EmulatorOptions(cloud_directory)) as emulator:
        yield emulator
