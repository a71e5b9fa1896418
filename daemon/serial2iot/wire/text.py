"""Text whose form the configuration names: CSV, `key=value`, regular expressions, one number, text as it is.

Unlike `auto`, these take words for values. A value that looks like a number is one, unless its key is among
`text_keys`: "007" as a card's id is not 7. An empty CSV cell or group is null.
"""

from __future__ import annotations

import csv
import re

from serial2iot.reading import Values
from serial2iot.wire.frame import BadFrame, bad
from serial2iot.wire.plotter import NAME, header_names
from serial2iot.wire.scalars import Number, named, number, plain_text, whole


class TextDecoder:
    """What they have in common. Reasons: `not_utf8`, `nul_byte`, and what `_read` gives."""

    _around: str | None = None  # what is stripped; None: any white space

    def __init__(self, text_keys: frozenset[str] = frozenset()) -> None:
        self.nulled = 0
        self._text_keys = text_keys

    def decode(self, frame: bytes) -> Values | BadFrame | None:
        """See Decoder. White space around the text is nothing, and so is a frame of nothing else."""
        text = plain_text(frame)
        if isinstance(text, BadFrame):
            return text
        text = text.strip(self._around)
        return self._read(text, frame) if text else None

    def reset(self) -> None:
        """See Decoder. Most learn nothing."""

    def _read(self, text: str, frame: bytes) -> Values | BadFrame | None:
        raise NotImplementedError

    def _value(self, key: str, text: str) -> Number:
        """A number where it is one and may be one."""
        if not text:
            return None
        if key in self._text_keys:
            return text
        try:
            value = number(text)
        except ValueError:
            return text
        self.nulled += value is None
        return value


class NumberDecoder(TextDecoder):
    """One number, as `value`. Reason: `not_a_number`."""

    def _read(self, text: str, frame: bytes) -> Values | BadFrame | None:
        try:
            value = number(text)
        except ValueError:
            return bad("not_a_number", frame)
        self.nulled += value is None
        return {"value": value}


class KeyValueDecoder(TextDecoder):
    """`key=value` parts between spaces, tabs, commas or semicolons; spaces around `=` are allowed.

    Values are numbers, words, or anything between double quotes. Reason: `not_keyvalue`.
    """

    _PART = re.compile(rf"({NAME})=\s*(?:\"([^\"]*)\"|([^\s,;=\"]+))(?:[\s,;]+|$)")

    def read(self, text: str) -> Values | None:
        """One line, stripped; None if it is anything else."""
        values: Values = {}
        for part in whole(self._PART, text):
            key = part[1].rstrip()
            values[key] = self._value(key, part[3]) if part[2] is None else part[2]
        return values or None

    def _read(self, text: str, frame: bytes) -> Values | BadFrame | None:
        return self.read(text) or bad("not_keyvalue", frame)


class RegexDecoder(TextDecoder):
    """Named groups of every pattern that is found; of a name in several patterns, the first found counts.

    A frame in which only patterns without groups are found is taken in silently: so '^' as the last pattern
    says that all other frames are of no interest. Reason: `no_match`, nothing found.
    """

    def __init__(self, patterns: tuple[str, ...], text_keys: frozenset[str] = frozenset()) -> None:
        super().__init__(text_keys)
        self._patterns = [re.compile(pattern) for pattern in patterns]

    def _read(self, text: str, frame: bytes) -> Values | BadFrame | None:
        values: Values = {}
        found = False
        for pattern in self._patterns:
            match = pattern.search(text)
            if match is None:
                continue
            found = True
            for key, group in match.groupdict().items():
                if group is not None and key not in values:
                    values[key] = self._value(key, group.strip())
        if not found:
            return bad("no_match", frame)
        return values or None


class CsvDecoder(TextDecoder):
    """Cells, named by the configuration, by a header line, or `value1`, `value2`, ...

    A header is a line in which every cell is a possible name; with `names` configured, only their own
    repetition is one. Reasons: `wrong_columns`, another number of cells than `names`; `not_csv`, a line end
    in a cell.
    """

    _around = " \r\n"

    def __init__(
        self, names: tuple[str, ...], separator: str, text_keys: frozenset[str] = frozenset()
    ) -> None:
        super().__init__(text_keys)
        self._names = names
        self._separator = separator
        self._header: tuple[str, ...] = ()

    def reset(self) -> None:
        """See Decoder. A header is the old board's: it will say it again."""
        self._header = ()

    def _read(self, text: str, frame: bytes) -> Values | BadFrame | None:
        try:
            cells = self._cells(text)
        except csv.Error:
            return bad("not_csv", frame)
        if self._names:
            if tuple(cells) == self._names:
                return None
            if len(cells) != len(self._names):
                return bad("wrong_columns", frame)
        elif header := header_names(cells, spaces=True):
            self._header = header
            return None
        keys = named([None] * len(cells), self._names or self._header)
        return {key: self._value(key, cell) for key, cell in zip(keys, cells, strict=True)}

    def _cells(self, text: str) -> list[str]:
        """The cells, stripped. A separator at the line's end makes no cell if there is no name for it."""
        if '"' in text:
            cells = next(csv.reader([text], delimiter=self._separator), [""])
        else:
            cells = text.split(self._separator)
        if not cells[-1] and len(cells) == len(self._names or self._header) + 1 > 1:
            cells.pop()
        return [cell.strip() for cell in cells]


class VerbatimDecoder(TextDecoder):
    """The text as it is, white space included, as `value`."""

    def decode(self, frame: bytes) -> Values | BadFrame | None:
        """See Decoder."""
        text = plain_text(frame)
        if isinstance(text, BadFrame):
            return text
        return {"value": text} if text else None
