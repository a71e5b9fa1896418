"""Where what is said goes: a terminal, a plain stream, the journal. The only module that knows logging_journald.

None of them raises: a log that cannot be written is no reason to stop reading a sensor.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from serial2iot.host.sentence import Said, clean, clean_lines

JOURNAL_SOCKET = Path("/run/systemd/journal/socket")
JOURNAL_TIMEOUT_S = 0.2
"""How long a journald that hangs may hold up one line: lines are few, and a burst may need a moment."""

_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}  # syslog(3)
_FIELD = re.compile(
    r"[A-Z0-9][A-Z0-9_]{0,63}"
)  # systemd.journal-fields(7): a user's names, 64 characters at most
_OURS = frozenset({"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "EVENT"})

_RESET, _BOLD, _DIM = "\x1b[0m", "\x1b[1m", "\x1b[2m"
_COLOURS = {
    "debug": _DIM,
    "info": "\x1b[32m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
    "critical": "\x1b[31m",
}


class Writer:
    """Says one thing at a time. structlog calls the method that has the level's name."""

    def say(self, said: Said) -> None:
        """Write it, or drop it."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of what was opened for it; nothing is said afterwards."""

    def debug(self, said: Said) -> None:
        """As structlog calls it."""
        self.say(said)

    info = warning = error = critical = debug


class TerminalWriter(Writer):
    """For someone who looks on: time of day, colour, the hint on a line of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def say(self, said: Said) -> None:
        clock = time.strftime("%H:%M:%S")
        level = f"{_COLOURS.get(said.level, '')}{said.level:<8}{_RESET}"
        lines = [f"{_DIM}{clock}{_RESET} {level} {_BOLD}{said.main}{_RESET}"]
        lines[0] += f"  {_DIM}{said.details}{_RESET}" if said.details else ""
        lines += [f"{' ' * 18}{said.hint}"] if said.hint else []
        lines += [clean_lines(said.traceback)] if said.traceback else []
        _write(self._stream, lines)


class PlainWriter(Writer):
    """For a file or a pipe: one line a fact, with the date. The journal has dates, and takes `<4>` for a level."""

    def __init__(self, stream: TextIO, *, for_journal: bool = False) -> None:
        self._stream = stream
        self._for_journal = for_journal

    def say(self, said: Said) -> None:
        lines = [said.line, *clean_lines(said.traceback).splitlines()]
        if self._for_journal:
            priority = _PRIORITIES.get(said.level, 6)
            lines = [f"<{priority}>{line}" for line in lines]  # sd-daemon(3)
        else:
            lines[0] = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {said.level} {lines[0]}"
        _write(self._stream, lines)


def _write(stream: TextIO, lines: list[str]) -> None:
    with contextlib.suppress(OSError, ValueError):  # gone, full, or closed
        stream.write("\n".join(lines) + "\n")
        stream.flush()


class JournalWriter(Writer):
    """Fields over journald's native protocol, each of its own name: `journalctl PORT=arduino EVENT=port_lost`.

    Where the socket does not answer, the line goes `otherwise`; where journald hangs, it is dropped and counted.
    Raises OSError where this process may have no such socket at all.
    """

    def __init__(self, socket: Path, otherwise: Writer) -> None:
        from logging_journald import JournaldTransport  # type: ignore[import-untyped]

        # Not connected: each line finds the socket anew, also after journald was replaced.
        self._transport = JournaldTransport(socket, connected=False)
        self._transport.socket.settimeout(JOURNAL_TIMEOUT_S)
        self._otherwise = otherwise
        self._dropped = 0

    def say(self, said: Said) -> None:
        try:
            self._transport.send(_pairs(said))
        except TimeoutError:
            self._dropped += 1
        except OSError:
            self._otherwise.say(said)
        else:
            self._tell_dropped()

    def close(self) -> None:
        self._transport.socket.close()

    def _tell_dropped(self) -> None:
        if dropped := self._dropped:
            self._dropped = 0
            self.say(
                Said(
                    "warning", "log_lines_dropped", {"lines": dropped, "reason": "the journal did not answer"}
                )
            )


def _pairs(said: Said) -> Iterator[tuple[str, str]]:
    traceback = clean_lines(said.traceback)
    yield "MESSAGE", f"{said.line}\n{traceback}" if traceback else said.line
    yield "PRIORITY", str(_PRIORITIES.get(said.level, 6))
    yield "SYSLOG_IDENTIFIER", "serial2iot"
    yield "EVENT", clean(said.event)
    for key, value in said.fields.items():
        name = key.upper()
        if value is None or name in _OURS or not _FIELD.fullmatch(name):
            continue
        # A list is one field several times, so that a search for any of its values finds it.
        for each in value if isinstance(value, (list, tuple)) else [value]:
            yield name, clean(each)
