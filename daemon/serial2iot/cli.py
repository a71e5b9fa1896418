"""The `serial2iot` command. Each command imports only what it uses: a Pi Zero is slow to import."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from serial2iot import __version__
from serial2iot.errors import ConfigError, DaemonError, Serial2IotError

if TYPE_CHECKING:
    from serial2iot.settings import Settings

NO_DAEMON = 2  # the running daemon could not be asked; argparse uses it for a command that is not understood
EX_CONFIG = 78  # sysexits.h: something in the configuration; the unit does not restart on it
DEFAULT_CONFIG = Path("/etc/serial2iot/config.toml")

# Commands that live in an optional extra, as modules with `add_arguments(parser)` and `async run(args)`.
IN_EXTRAS = {
    "ports": ("what is plugged in, and who holds it", "serial2iot.commands.ports"),
    "record": ("the raw bytes of a port with their times, into a file", "serial2iot.commands.record"),
    "replay": ("what becomes of a recording, or its bytes on a pty", "serial2iot.commands.replay"),
    "emulator": ("AWS IoT Core's part on this machine", "serial2iot.emulator.command"),
    "demo": ("the whole system on this machine, without hardware or AWS", "serial2iot.emulator.demo"),
}


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
    except BrokenPipeError:  # whoever read our output has seen enough
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
        ("status", "how the running daemon is: 0 connected, 1 not connected, 2 not running", _ask),
        ("watch", "the same live, with values and their recent course", _ask),
        ("reload", "have the running daemon read its configuration again", _ask),
        ("publish", "send one reading by hand through the running daemon", _ask),
    ):
        of_command = commands.add_parser(name, help=help, description=_sentence(help))
        of_command.set_defaults(command=command, name=name)
        where = f"the configuration (else $SERIAL2IOT_CONFIG, else {DEFAULT_CONFIG})"
        of_command.add_argument("--config", type=Path, metavar="PATH", help=where)
        if name in ARGUMENTS:
            ARGUMENTS[name](of_command)
    for name, (help, module) in IN_EXTRAS.items():
        of_command = commands.add_parser(name, help=help, description=_sentence(help))
        if name in given:
            _load_extra(of_command, module)
    return parser


def _status_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for scripts: stable, with a `schema` number")


def _publish_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("port", metavar="PORT", help="the port in whose name it is sent; any name will do")
    what = """what the port would say: '{"t": 23.4}', t=23.4, 23.4, or any text"""
    parser.add_argument("values", metavar="VALUES", nargs="+", help=what)


def _watch_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--looks", type=int, metavar="N", help="end after so many looks, one a second")


ARGUMENTS = {"status": _status_arguments, "watch": _watch_arguments, "publish": _publish_arguments}


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."


def _load_extra(parser: argparse.ArgumentParser, name: str) -> None:
    try:
        module: ModuleType = importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name and missing.name.startswith("serial2iot"):
            raise
        message = f"this command needs the package {missing.name}"
        raise Serial2IotError(message, hint="pip install 'serial2iot[emulator]'") from missing
    module.add_arguments(parser)
    parser.set_defaults(command=lambda args: asyncio.run(module.run(args)))


def _config(args: argparse.Namespace) -> Path:
    return args.config or Path(os.environ.get("SERIAL2IOT_CONFIG") or DEFAULT_CONFIG)


def _settings(args: argparse.Namespace) -> Settings:
    from serial2iot.settings import load

    return load(_config(args), os.environ)


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


def _ask(args: argparse.Namespace) -> int:
    from serial2iot import asking
    from serial2iot.host import client

    config = _config(args)
    path = client.find(config, system=config.absolute() == DEFAULT_CONFIG)
    ask: Callable[[argparse.Namespace, Path], int] = getattr(asking, args.name)
    return ask(args, path)


def _complain(error: Serial2IotError) -> None:
    print(f"serial2iot: {error}", file=sys.stderr)
    if error.hint:
        print(f"  {error.hint}", file=sys.stderr)
