"""The `serial2iot` command. Each command imports only what it uses: a Pi Zero is slow to import."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from serial2iot import __version__
from serial2iot.commands.config_option import add_config, config_path
from serial2iot.errors import ConfigError, DaemonError, Serial2IotError

if TYPE_CHECKING:
    from serial2iot.settings import Settings

NO_DAEMON = 2  # the running daemon could not be asked; argparse uses it for a command that is not understood
EX_CONFIG = 78  # sysexits.h: something in the configuration; the unit does not restart on it

# Commands in modules with `add_arguments(parser)` and `async run(args)`; some need packages of an extra.
IN_MODULES = {
    "status": (
        "how the running daemon is: exits 0 connected, 1 not, 2 not running",
        "serial2iot.commands.status",
    ),
    "watch": ("the same live, with values and their recent course", "serial2iot.commands.watch"),
    "reload": ("have the running daemon read its configuration again", "serial2iot.commands.reload"),
    "publish": ("send one reading by hand through the running daemon", "serial2iot.commands.publish"),
    "ports": ("what is plugged in, and who holds it", "serial2iot.commands.ports"),
    "record": ("the raw bytes of a port with their times, into a file", "serial2iot.commands.record"),
    "replay": ("what becomes of a recording, or its bytes on a pty", "serial2iot.commands.replay"),
    "emulator": ("AWS IoT Core's part on this machine", "serial2iot.emulator.command"),
    "demo": ("the whole system on this machine, without hardware or AWS", "serial2iot.emulator.demo"),
}
_EXTRAS = {"serial2iot.commands.watch": "watch"}  # else it is `emulator`


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        args = _parser(given).parse_args(given)
        command: Callable[[argparse.Namespace], int] = args.command
        return command(args)
    except ConfigError as error:
        _complain(error)
        return EX_CONFIG
    except DaemonError as error:
        _complain(error)
        return NO_DAEMON
    except Serial2IotError as error:
        _complain(error)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever reads our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="serial2iot",
        description="Carries what an Arduino says to AWS IoT Core, and keeps the shadow truthful.",
    )
    parser.add_argument("--version", action="version", version=f"serial2iot {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, help, command in (
        ("run", "run the daemon, in the foreground; systemd does this", _run),
        ("check", "check the configuration and say what it would do", _check),
    ):
        of_command = commands.add_parser(name, help=help, description=_sentence(help))
        of_command.set_defaults(command=command)
        add_config(of_command)
    for name, (help, module) in IN_MODULES.items():
        of_command = commands.add_parser(name, help=help, description=_sentence(help))
        if name in given:
            _load(of_command, module)
    return parser


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."


def _load(parser: argparse.ArgumentParser, name: str) -> None:
    try:
        module: ModuleType = importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name and missing.name.startswith("serial2iot"):
            raise
        message = f"this command needs the package {missing.name}"
        raise Serial2IotError(
            message, hint=f"pip install 'serial2iot[{_EXTRAS.get(name, 'emulator')}]'"
        ) from missing
    module.add_arguments(parser)
    parser.set_defaults(command=lambda args: asyncio.run(module.run(args)))


def _settings(args: argparse.Namespace) -> Settings:
    from serial2iot.settings import load

    return load(config_path(args), os.environ)


def _run(args: argparse.Namespace) -> int:
    import structlog

    from serial2iot.host import logs

    settings = _settings(args)
    logs.configure(settings.log)
    for warning in settings.warnings:
        structlog.get_logger().warning("configuration", reason=warning)

    from serial2iot.service import run

    return asyncio.run(run(settings))


def _check(args: argparse.Namespace) -> int:
    from serial2iot.settings import describe

    settings = _settings(args)
    for warning in settings.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print("\n".join(describe(settings)))
    return 0


def _complain(error: Serial2IotError) -> None:
    print(f"serial2iot: {error}", file=sys.stderr)
    if error.hint:
        print(f"  {error.hint}", file=sys.stderr)
