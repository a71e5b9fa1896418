"""`serial2iot ports`: what is plugged in, which port is free, who holds the others."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence

from serial2iot.port.plugged import Plugged, plugged


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line takes."""
    parser.add_argument("--json", action="store_true", help="for scripts: a list of objects")


async def run(args: argparse.Namespace) -> int:
    """Print it."""
    found = plugged()
    print(json.dumps([_fields(each) for each in found], indent=2) if args.json else "\n".join(_text(found)))
    if os.geteuid() != 0 and not args.json:
        print("Programs of other users are seen by root alone: sudo serial2iot ports", file=sys.stderr)
    return 0


def _text(found: Sequence[Plugged]) -> Iterator[str]:
    if not found:
        yield "No serial device is plugged in."
        yield "One that is and does not show: try another cable (some only charge), then: sudo dmesg | tail"
    for each in found:
        yield _headline(each)
        if each.name:
            yield f"  {each.name}"
        yield f"  held by {', '.join(map(str, each.held_by))}" if each.held_by else "  free"
        yield from (f"  ! {warning}" for warning in each.warnings)
    free = [each for each in found if not each.held_by]
    if free:
        yield from ("", "For the configuration:")
    for number, each in enumerate(free, 1):
        yield from ("", *_block(each, "arduino" if number == 1 else f"arduino{number}"))


def _headline(each: Plugged) -> str:
    usb = "" if each.vid is None or each.pid is None else f"{each.vid:04x}:{each.pid:04x}"
    serial = f"serial {each.serial}" if each.serial else ""
    return "  ".join(word for word in (each.device, each.product, usb, serial) if word)


def _block(each: Plugged, name: str) -> Iterator[str]:
    yield "[[serial]]"
    yield f"name = {json.dumps(name)}"
    yield f"device = {json.dumps(each.name or each.device)}"
    yield "baud = 115200    # as in the sketch's Serial.begin"


def _fields(each: Plugged) -> dict[str, object]:
    return {
        "device": each.device,
        "by_id": each.name,
        "vid": each.vid,
        "pid": each.pid,
        "serial": each.serial,
        "product": each.product,
        "held_by": [holder._asdict() for holder in each.held_by],
        "warnings": each.warnings,
    }
