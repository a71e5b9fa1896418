"""Which configuration a command is about: `--config`, else $SERIAL2IOT_CONFIG, else the system's own."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

DEFAULT_CONFIG = Path("/etc/serial2iot/config.toml")


def add_config(parser: argparse.ArgumentParser) -> None:
    """The option, the same for every command."""
    where = f"the configuration (else $SERIAL2IOT_CONFIG, else {DEFAULT_CONFIG})"
    parser.add_argument("--config", type=Path, metavar="PATH", help=where)


def config_path(args: argparse.Namespace) -> Path:
    """The file that is meant."""
    return args.config or Path(os.environ.get("SERIAL2IOT_CONFIG") or DEFAULT_CONFIG)
