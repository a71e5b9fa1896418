"""What the commands that ask the running daemon have in common: where it listens.

They exit 2 where it does not run or may not be asked.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from serial2iot.commands.config_option import DEFAULT_CONFIG, config_path
from serial2iot.host import client


async def ask(
    args: argparse.Namespace, *, within_s: float = client.PATIENCE_S, **request: object
) -> dict[str, Any]:
    """The answer of the daemon that runs on the configuration that is meant. Raises as `client.ask` does."""
    config = config_path(args).absolute()
    path = client.find(config, system=config == DEFAULT_CONFIG, environ=os.environ)
    return await client.ask(path, request, within_s=within_s)
