"""A TOML file, and the line on which each of its keys stands.

`tomllib` reads the document and says nothing of lines, so a second pass over the same text notes them. It runs
only on text that `tomllib` has accepted: it knows where a key, a string, a comment and a bracket end, and judges
nothing.

A path names a place as in the document: `("mqtt", "endpoint")`, `("serial", 0, "checksum", "kind")`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from serial2iot.errors import ConfigError

Place: TypeAlias = "tuple[str | int, ...]"

_PLACE_OF_ERROR = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_HINTS = {
    "Invalid value": 'Text needs quotes: name = "RPI".',
    "Cannot overwrite a value": "The key is given twice; keep one of them.",
    "Cannot declare": "The table is given twice; put its keys together under one header.",
    "Cannot mutate immutable namespace": "The table is given twice; put its keys together under one header.",
    "Unescaped '\\' in a string": "In 'single quotes' a backslash means itself.",
    "Illegal character '\\n'": "A quote is not closed on this line.",
    'Expected "\'"': "A quote is not closed on this line.",
    "Unterminated": "A quote that begins on this line is not closed.",
    "Unclosed": "A bracket that begins on this line is not closed.",
}


@dataclass(frozen=True)
class ConfigFile:
    """What a file says, and where it says it."""

    path: Path
    document: Mapping[str, Any]
    lines: Mapping[Place, int] = field(repr=False)

    def line_of(self, place: Place) -> int | None:
        """The line (from 1) of a key, table or array element; of the nearest one around it where it is absent.

        None where nothing of the place is in the file.
        """
        for end in range(len(place), 0, -1):
            if place[:end] in self.lines:
                return self.lines[place[:end]]
        return None

    def where(self, place: Place) -> str:
        """`file:line` for a message; the file alone where it has no such line."""
        line = self.line_of(place)
        return str(self.path) if line is None else f"{self.path}:{line}"


def read(path: Path) -> ConfigFile:
    """Read a TOML file. Raises ConfigError, with the line where there is one."""
    text = _text(path)
    try:
        return ConfigFile(path, tomllib.loads(text), key_lines(text))
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(path, text, str(error)) from None
    except RecursionError:
        raise ConfigError("its brackets are nested too deeply", where=str(path)) from None


def _text(path: Path) -> str:
    where = str(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        hint = "Name another one with --config, or copy config/serial2iot.toml there and edit it."
        raise ConfigError("there is no such file", where=where, hint=hint) from None
    except OSError as error:
        hint = f"See who may read it: namei -l {path}" if isinstance(error, PermissionError) else ""
        raise ConfigError(f"cannot be read: {error.strerror}", where=where, hint=hint) from None
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")  # Windows' Notepad writes the mark and CRLF
    except UnicodeDecodeError as error:
        where = f"{path}:{data.count(10, 0, error.start) + 1}"
        raise ConfigError("is not UTF-8 text", where=where, hint="Save the file as UTF-8.") from None


def _syntax_error(path: Path, text: str, message: str) -> ConfigError:
    place = _PLACE_OF_ERROR.search(message)
    line = int(place[1]) if place and place[1] else _unfinished(text)
    what = message[: place.start()] if place else message
    hint = next((hint for start, hint in _HINTS.items() if what.startswith(start)), "")
    return ConfigError(f"not valid TOML: {what}", where=f"{path}:{line}", hint=hint)


def _unfinished(text: str) -> int:
    """The line on which begins what is not finished at the end: tomllib notices a lost quote only there."""
    lines = text.split("\n")
    for end in range(len(lines) - 1, 0, -1):
        try:
            tomllib.loads("\n".join(lines[:end]))
        except tomllib.TOMLDecodeError:
            continue
        return end + 1
    return 1


def key_lines(text: str) -> Mapping[Place, int]:
    """The line (from 1) of every key, table header and array element of a valid TOML document."""
    return _Lines(text).scan()


_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART = re.compile(r"""[ \t]*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))[ \t]*""")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")' + r"|'''.*?'{3,5}(?!')" + r'|"(?:[^"\\]|\\.)*"' + r"|'[^']*'", re.DOTALL
)
_BARE = re.compile(r"[^,\]}#\n]*")  # numbers, dates, true and false


class _Lines:
    """One pass over a valid document."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line, self._counted_to = 1, 0
        self._lengths: dict[Place, int] = {}  # of the arrays of tables so far
        self._lines: dict[Place, int] = {}

    def scan(self) -> dict[Place, int]:
        table: Place = ()
        while self._skip_blank():
            if self._text.startswith("[[", self._at):
                table = self._header(2)
            elif self._text[self._at] == "[":
                table = self._header(1)
            else:
                self._pair(table)
        return self._lines

    def _header(self, brackets: int) -> Place:
        line = self._here()
        self._at += brackets
        keys = self._key()
        self._at += brackets
        place: Place = ()
        for depth, key in enumerate(keys, 1):
            place = (*place, key)
            self._lines.setdefault(place, line)
            if brackets == 2 and depth == len(keys):
                self._lengths[place] = self._lengths.get(place, 0) + 1
            if place in self._lengths:  # a header below an array of tables means its last element
                place = (*place, self._lengths[place] - 1)
                self._lines.setdefault(place, line)
        # `[a.b]` may come before `[a]`; the header of a table itself is the better line for it.
        self._lines[place] = line
        return place

    def _pair(self, table: Place) -> None:
        line = self._here()
        place = table
        for key in self._key():
            place = (*place, key)
            self._lines.setdefault(place, line)
        self._at += 1  # the equals sign
        self._value(place)

    def _key(self) -> list[str]:
        keys = []
        while part := _KEY_PART.match(self._text, self._at):
            self._at = part.end()
            basic, literal, bare = part.groups()
            keys.append(_unescaped(basic) if basic is not None else literal if literal is not None else bare)
            if self._text[self._at] != ".":
                break
            self._at += 1
        return keys

    def _value(self, place: Place) -> None:
        self._skip_blank()
        if self._text[self._at] == "{":
            self._inside("}", lambda _: self._pair(place))
        elif self._text[self._at] == "[":
            self._inside("]", lambda index: self._element((*place, index)))
        else:
            end = _STRING.match(self._text, self._at) or _BARE.match(self._text, self._at)
            self._at = end.end() if end else self._at

    def _inside(self, closing: str, item: Callable[[int], None]) -> None:
        """The items between an opening bracket, where the scan stands, and its closing one."""
        self._at += 1
        index = 0
        while self._skip_blank() and self._text[self._at] != closing:
            if self._text[self._at] == ",":
                self._at += 1
            else:
                item(index)
                index += 1
        self._at += 1

    def _element(self, place: Place) -> None:
        self._lines[place] = self._here()
        self._value(place)

    def _skip_blank(self) -> bool:
        """Go on to the next thing that is not space or comment; False at the end of the text."""
        blank = _BLANK.match(self._text, self._at)
        self._at = blank.end() if blank else self._at
        return self._at < len(self._text)

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted_to, self._at)
        self._counted_to = self._at
        return self._line


def _unescaped(basic: str) -> str:
    return basic if "\\" not in basic else str(tomllib.loads(f'key = "{basic}"')["key"])
