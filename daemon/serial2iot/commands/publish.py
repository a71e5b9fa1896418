"""`serial2iot publish PORT VALUES`: one reading by hand, through the running daemon and its spool.

It is read as `decode = "auto"` reads a line, and text that means nothing there is the value itself. It gets the next
number of that port; a name that is not configured is a lane of its own. With the daemon stopped there is no other
way: a second connection under the same client id would be a takeover.
"""

from __future__ import annotations

import argparse
import json

from serial2iot.commands.asking import ask
from serial2iot.commands.config_option import add_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line takes."""
    add_config(parser)
    parser.add_argument("port", metavar="PORT", help="the port in whose name it is sent; any name will do")
    what = """what the port would say: '{"t": 23.4}', t=23.4, 23.4, or any text"""
    parser.add_argument("values", metavar="VALUES", nargs="+", help=what)


async def run(args: argparse.Namespace) -> int:
    """Hand it over, and say what it has become."""
    took = await ask(args, do="publish", port=args.port, text=" ".join(args.values))
    values = json.dumps(took["values"], ensure_ascii=False)
    print(f"{took['port']} run {took['run']} seq {took['seq']}: {values} -> {took['topic']}")
    if not took["connected"]:
        print("there is no connection now: it waits in the spool")
    return 0
