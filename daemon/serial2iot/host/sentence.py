"""One thing said by the daemon, and the sentence it makes. Pure.

    arduino: port lost: the device is gone (open_s=12.5) -> is it plugged in?
    ^port    ^event     ^reason             ^other fields    ^hint

So a line reads as a sentence, its fields stay searchable, and nobody keeps a table of sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_IN_PLACE = ("port", "reason", "hint")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_PLAIN_WORD = re.compile(r"[^\s\"'=()]+")


class Said(NamedTuple):
    """An event with its fields; `level` as structlog names it, `traceback` empty or several lines."""

    level: str
    event: str
    fields: Mapping[str, Any]
    traceback: str = ""

    @property
    def main(self) -> str:
        """What happened, to which port, and why."""
        words = clean(self.event.replace("_", " "))
        if port := self.fields.get("port"):
            words = f"{clean(port)}: {words}"
        if reason := self.fields.get("reason"):
            words = f"{words}: {clean(reason)}"
        return words

    @property
    def details(self) -> str:
        """The other fields as `key=value`; None is left out."""
        rest = (
            (key, value) for key, value in self.fields.items() if key not in _IN_PLACE and value is not None
        )
        return " ".join(f"{key}={_quoted(clean(value))}" for key, value in rest)

    @property
    def hint(self) -> str:
        """What a person can do about it, or nothing."""
        return clean(self.fields.get("hint") or "")

    @property
    def line(self) -> str:
        """All of it but the traceback, in one line."""
        details = f" ({self.details})" if self.details else ""
        hint = f" -> {self.hint}" if self.hint else ""
        return f"{self.main}{details}{hint}"


def clean(value: object) -> str:
    """A value as text that is safe to print: in one line, no control characters, no lone surrogates."""
    if isinstance(value, bool):
        return "true" if value else "false"  # as in the messages to the cloud
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)):
        value = ", ".join(map(str, value))
    return _CONTROL.sub(_escaped, _encodable(str(value)))


def clean_lines(text: str) -> str:
    """The same for text of several lines."""
    return _CONTROL_IN_LINES.sub(_escaped, _encodable(text))


def _encodable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _escaped(found: re.Match[str]) -> str:
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(found[0], f"\\x{ord(found[0]):02x}")


def _quoted(text: str) -> str:
    return text if _PLAIN_WORD.fullmatch(text) else '"' + text.replace('"', '\\"') + '"'
