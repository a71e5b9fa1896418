"""The commands that ask the running daemon: status, watch, reload, publish. Each returns its exit status.

`status` exits 0 when there is a connection to the broker, 1 when there is none, 2 when the daemon does not run or
may not be asked. All of them exit 2 for the last, and `reload` 78 where the configuration is refused.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serial2iot.errors import Serial2IotError
from serial2iot.host import client, status_text


def status(args: argparse.Namespace, path: Path) -> int:
    """Print the report, for people or as JSON (see `report` for its keys)."""
    report = client.ask(path, {"do": "status"})
    if args.json:
        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        print("\n".join(status_text.lines(report)))
    return 0 if report["link"]["up"] else 1


def watch(args: argparse.Namespace, path: Path) -> int:
    """Look on, until Ctrl-C."""
    try:
        from rich.console import Console

        from serial2iot.host.watch import watch as follow
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] != "rich":
            raise
        hint = "pip install 'serial2iot[watch]'"
        raise Serial2IotError("this command needs the package rich", hint=hint) from missing

    def ask() -> Mapping[str, Any]:
        return client.ask(path, {"do": "status"})

    follow(ask, Console(), looks=args.looks)
    return 0


def reload(args: argparse.Namespace, path: Path) -> int:
    """Have the daemon read its configuration again, and say what that changed."""
    result = client.ask(path, {"do": "reload"}, within_s=client.RELOAD_S)
    changed, later = result["changed"], result["needs_restart"]
    print("changed: " + ", ".join(changed) if changed else "nothing changed")
    for warning in result["warnings"]:
        print(f"warning: {warning}")
    if later:
        tables = ", ".join(f"[{name}]" for name in later)
        print(f"{tables} changed too, and needs a restart: sudo systemctl restart serial2iot")
    return 0


def publish(args: argparse.Namespace, path: Path) -> int:
    """Hand one reading to the daemon, which publishes it as if the port had sent it."""
    text = " ".join(args.values)
    took = client.ask(path, {"do": "publish", "port": args.port, "text": text})
    values = json.dumps(took["values"], ensure_ascii=False)
    print(f"{took['port']} run {took['run']} seq {took['seq']}: {values} -> {took['topic']}")
    if not took["connected"]:
        print("there is no connection now: it waits in the spool")
    return 0
