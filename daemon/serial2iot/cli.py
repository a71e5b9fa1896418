"""The `serial2iot` command. Each command imports only what it uses: a Pi Zero is slow to import."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from serial2iot import __version__
from serial2iot.errors import ConfigError, Serial2IotError

if TYPE_CHECKING:
    from serial2iot.settings import Settings

EX_CONFIG = 78  # sysexits.h: something in the configuration; the unit does not restart on it
DEFAULT_CONFIG = Path("/etc/serial2iot/config.toml")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit status."""
    parser = _parser()
    args = parser.parse_args(arguments)
    try:
        command: Callable[[argparse.Namespace], int] = args.command
        return command(args)
    except ConfigError as error:
        _complain(error)
        return EX_CONFIG
    except Serial2IotError as error:
        _complain(error)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="serial2iot",
        description="Carries what an Arduino says to AWS IoT Core, and keeps the shadow truthful.",
    )
    parser.add_argument("--version", action="version", version=f"serial2iot {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add(commands, "run", _run, "run the daemon, in the foreground; systemd does this")
    _add(commands, "check", _check, "check the configuration and say what it would do")
    _add(commands, "emulator", _emulator, "AWS IoT Core's part on this machine", config=False)
    _add(commands, "demo", _demo, "the whole system on this machine, without hardware or AWS", config=False)
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: Callable[[argparse.Namespace], int],
    help: str,
    *,
    config: bool = True,
) -> None:
    parser = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
    parser.set_defaults(command=command)
    if config:
        parser.add_argument(
            "--config",
            type=Path,
            metavar="PATH",
            help=f"the configuration (else $SERIAL2IOT_CONFIG, else {DEFAULT_CONFIG})",
        )


def _settings(args: argparse.Namespace) -> Settings:
    from serial2iot.settings import load

    return load(args.config or Path(os.environ.get("SERIAL2IOT_CONFIG") or DEFAULT_CONFIG), os.environ)


def _run(args: argparse.Namespace) -> int:
    from serial2iot.host import logs

    settings = _settings(args)
    logs.configure(settings.log)

    from serial2iot.service import run

    return asyncio.run(run(settings))


def _check(args: argparse.Namespace) -> int:
    from serial2iot.settings import describe

    settings = _settings(args)
    for warning in settings.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print("\n".join(describe(settings)))
    return 0


def _emulator(args: argparse.Namespace) -> int:
    from serial2iot.emulator import command

    return asyncio.run(command.run(args))


def _demo(args: argparse.Namespace) -> int:
    from serial2iot.emulator import demo

    return asyncio.run(demo.run(args))


def _complain(error: Serial2IotError) -> None:
    print(f"serial2iot: {error}", file=sys.stderr)
    if error.hint:
        print(f"  {error.hint}", file=sys.stderr)
