"""`serial2iot watch`: the report live, with the recent course of each value. It asks once a second."""

from __future__ import annotations

import argparse

from rich.console import Console

from serial2iot.commands.asking import ask
from serial2iot.commands.config_option import add_config
from serial2iot.host.watch import watch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line takes."""
    add_config(parser)
    parser.add_argument("--looks", type=int, metavar="N", help="end after so many looks, one a second")


async def run(args: argparse.Namespace) -> int:
    """Look on, until Ctrl-C."""
    await watch(lambda: ask(args, do="status"), Console(), looks=args.looks)
    return 0
