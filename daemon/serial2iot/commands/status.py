"""`serial2iot status`: how the running daemon is. Exits 0 connected, 1 not connected, 2 not running."""

from __future__ import annotations

import argparse
import json

from serial2iot.commands.asking import ask
from serial2iot.commands.config_option import add_config
from serial2iot.host import status_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line takes."""
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="for scripts: stable, with a `schema` number")


async def run(args: argparse.Namespace) -> int:
    """Print the report, for people or as JSON (`report` has its keys)."""
    report = await ask(args, do="status")
    if args.json:
        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        print("\n".join(status_text.lines(report)))
    return 0 if report["link"]["up"] else 1
