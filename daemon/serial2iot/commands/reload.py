"""`serial2iot reload`: the running daemon reads its configuration again; `systemctl reload` is this.

Exits 78 where the configuration is refused: then the old one goes on.
"""

from __future__ import annotations

import argparse

from serial2iot.commands.asking import ask
from serial2iot.commands.config_option import add_config

PATIENCE_S = 60.0  # certificates are read and ports closed before it answers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line takes."""
    add_config(parser)


async def run(args: argparse.Namespace) -> int:
    """Wait for it, and say what it changed."""
    result = await ask(args, within_s=PATIENCE_S, do="reload")
    print("changed: " + ", ".join(result["changed"]) if result["changed"] else "nothing changed")
    for warning in result["warnings"]:
        print(f"warning: {warning}")
    if result["needs_restart"]:
        tables = ", ".join(f"[{name}]" for name in result["needs_restart"])
        print(f"only a restart changes {tables}: sudo systemctl restart serial2iot")
    return 0
