"""Children that run a module of this folder, wherever the test was started from."""

import os
import sys
from pathlib import Path

import structlog

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT / "daemon"), str(ROOT)))}


def command(module: str, *arguments: object) -> list[str]:
    """What to execute, together with ENVIRONMENT."""
    return [sys.executable, "-m", f"tests.crash.{module}", *map(str, arguments)]


def quiet() -> None:
    """Keep what the spool logs out of what a child reports."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
