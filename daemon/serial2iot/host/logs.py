"""What the daemon says while it runs: structlog, before a terminal, the journal or any other stream.

How to log, everywhere: one event name per fact, in snake_case, and what belongs to it as fields.

    log = structlog.get_logger()
    log.warning("port_lost", port="arduino", reason="the device is gone", hint="is it plugged in?", open_s=12.5)

`port`, `reason` and `hint` have their places in the sentence that people read (see `host.sentence`).

    terminal  04:12:07 warning  arduino: port lost: the device is gone  open_s=12.5
                                is it plugged in?
    journal   MESSAGE=arduino: port lost: the device is gone (open_s=12.5) -> is it plugged in?
              PRIORITY=4  EVENT=port_lost  PORT=arduino  REASON=the device is gone  OPEN_S=12.5  HINT=...
    else      2026-11-23 04:12:07 warning arduino: port lost: the device is gone (open_s=12.5) -> is it plugged in?

Rules: what cannot be written is dropped, and never stops the daemon or holds it up for long; a control character
from the wire is never written raw; an exception comes with its traceback.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias

import structlog

from serial2iot.host.recent import recent
from serial2iot.host.sentence import Said
from serial2iot.host.writers import JOURNAL_SOCKET, JournalWriter, PlainWriter, TerminalWriter, Writer

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
CrtLevel: TypeAlias = Literal["none", "fatal", "error", "warn", "info", "debug", "trace"]

_NUMBERS = logging.getLevelNamesMapping()


@dataclass(frozen=True, slots=True)
class LogOptions:
    """`[log]`: how much is said. `crt_level` is that of awscrt, which has a log of its own."""

    level: Level = "info"
    crt_level: CrtLevel = "none"


def configure(
    options: LogOptions, *, stream: TextIO | None = None, journal_socket: Path = JOURNAL_SOCKET
) -> None:
    """Say everything from here on as `options` want it, to `stream` (else stderr). May be called again.

    Where `stream` leads into the journal (systemd sets JOURNAL_STREAM, systemd.exec(5)), fields go over its
    native protocol instead.
    """
    writer = _writer(stream or sys.stderr, journal_socket)
    level = _NUMBERS[options.level.upper()]
    structlog.configure(
        processors=[recent, structlog.processors.format_exc_info, _to_said],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: writer,
        # A cached logger would keep its level for ever, and a reload could not change it. It costs 1 us a call.
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, _FromLogging)]:
        root.removeHandler(handler)
        handler.close()
    root.addHandler(_FromLogging(writer))
    root.setLevel(level)


def _writer(stream: TextIO, journal_socket: Path) -> Writer:
    if _leads_to_journal(stream):
        with contextlib.suppress(OSError):  # no socket allowed: then as text, which the journal takes too
            return JournalWriter(journal_socket, otherwise=PlainWriter(stream, for_journal=True))
    return TerminalWriter(stream) if stream.isatty() else PlainWriter(stream)


def _leads_to_journal(stream: TextIO) -> bool:
    try:
        device, inode = os.environ["JOURNAL_STREAM"].split(":")
        status = os.fstat(stream.fileno())
    except (KeyError, ValueError, OSError):
        return False
    return (status.st_dev, status.st_ino) == (int(device), int(inode))


def _to_said(_: Any, level: str, event_dict: MutableMapping[str, Any]) -> tuple[tuple[Said], dict[str, Any]]:
    """structlog's last processor: what it returns are the arguments of the writer's method."""
    event = event_dict.pop("event")
    traceback = event_dict.pop("exception", "")
    return (Said(level, str(event), dict(event_dict), traceback),), {}


class _FromLogging(logging.Handler):
    """What the standard library and others log, asyncio above all, by the same way."""

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self._writer = writer
        self._format_exception = logging.Formatter().formatException

    def emit(self, record: logging.LogRecord) -> None:
        traceback = self._format_exception(record.exc_info) if record.exc_info else ""
        fields = {"reason": record.getMessage()}
        self._writer.say(Said(record.levelname.lower(), record.name, fields, traceback))

    def close(self) -> None:
        self._writer.close()
        super().close()
