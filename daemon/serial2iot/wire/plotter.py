"""What sketches print for a person or for the Arduino Serial Plotter, line by line.

After arduino/Arduino, build/shared/ArduinoSerialPlotterProtocol.md: a line is parts separated by spaces,
tabs or commas (here also semicolons); a part is `label:value`, a label with its colon, or a value; labels
may be sent once, with colons or as a CSV header, and name the bare values that follow.

Each line is judged by itself, whole: one part that fits nowhere makes it text, which is no reading. What is
learned is only names, and they serve only lines with exactly as many bare values:

- Labels with colons hold until others come.
- A header is two or more words that could be names, separated by commas, semicolons or tabs. It is believed
  only if the next line here has as many bare values; so "Hello, world" names nothing.
- `names` of the configuration win over both. With them, a line with another number of bare values has lost
  bytes, and is bad.
"""

from __future__ import annotations

import re

from serial2iot.reading import Values
from serial2iot.wire.frame import BadFrame, bad
from serial2iot.wire.scalars import FINITE, NOT_FINITE, Number, named, number, plain_text, whole

# Every pattern here takes linear time: what is repeated cannot match what follows it.
_VALUE = rf"(?:{FINITE}|{NOT_FINITE})"
_GAP = r"(?:[\s,;]+|$)"
# A name has a letter and does not begin with a whole number: `12:05` is a time, `3V3:3.31` is a voltage.
NAME = rf"(?!{_VALUE}[\s:=])(?=[^:=,;\t]*[^\W\d_])[^\s:=,;][^:=,;\t]*+"

_LABELLED = re.compile(rf"(?:({NAME}):\s*)?({_VALUE}){_GAP}")
_LABEL = re.compile(rf"({NAME}):{_GAP}")
_BETWEEN_VALUES = re.compile(r"\s*[,;\t]\s*|\s+")
_BETWEEN_LABELS = re.compile(r"[,;\t]")
_WORD = re.compile(rf"(?!{NOT_FINITE}\Z)[^\W\d][\w.%/°()\[\]#-]*")
_WORDS = re.compile(rf"(?!{NOT_FINITE}\Z)[^\W\d][\w.%/°()\[\]# -]*")


class PlotterDecoder:
    """Reasons: `not_plotter`, `wrong_columns`, `not_utf8`, `nul_byte`."""

    def __init__(self, names: tuple[str, ...] = (), reason: str = "not_plotter") -> None:
        self.nulled = 0
        self._reason = reason
        self._names = names
        self._labels: tuple[str, ...] = ()
        self._header: tuple[str, ...] = ()  # of the line before, not believed yet

    def decode(self, frame: bytes) -> Values | BadFrame | None:
        """See Decoder."""
        text = plain_text(frame)
        return text if isinstance(text, BadFrame) else self.read(text.strip(), frame)

    def read(self, text: str, frame: bytes) -> Values | BadFrame | None:
        """One line, stripped; `frame` is what it came as."""
        if not text:
            return None
        header, self._header = self._header, ()
        if ":" in text:
            return self._read_labelled(text, frame)
        try:
            values = self._bare(text)
        except ValueError:
            cells = _BETWEEN_LABELS.split(text)
            self._header = header_names(cells, spaces="\t" in text)
            return None if self._header else bad(self._reason, frame)
        if self._names and len(values) != len(self._names):
            return bad("wrong_columns", frame)
        if len(values) == len(header):
            self._labels = header
        return named(values, self._names or self._labels)

    def reset(self) -> None:
        """See Decoder. The names that were learned are the old board's: it will say them again."""
        self._labels = ()
        self._header = ()

    def _read_labelled(self, text: str, frame: bytes) -> Values | BadFrame | None:
        parts = whole(_LABELLED, text)
        if parts:
            values: Values = {}
            for place, part in enumerate(parts, 1):
                name = part[1].rstrip() if part[1] else f"value{place}"
                values[name] = self._count(number(part[2]))
            return values
        labels = tuple(part[1].rstrip() for part in whole(_LABEL, text))
        if labels:
            self._labels = labels
            return None
        return bad(self._reason, frame)

    def _bare(self, text: str) -> list[Number]:
        """The numbers of a line that has nothing else; an empty cell is None. Raises ValueError."""
        cells = _BETWEEN_VALUES.split(text.rstrip(" \t,;"))
        numbers = [number(cell) if cell else None for cell in cells]
        self.nulled += numbers.count(None) - cells.count("")
        return numbers

    def _count(self, value: Number) -> Number:
        self.nulled += value is None
        return value


def header_names(cells: list[str], *, spaces: bool) -> tuple[str, ...]:
    """The names that a header's cells give, empty if they are none; `spaces`: also inside a name."""
    names = tuple(cell.strip() for cell in cells)
    word = _WORDS if spaces else _WORD
    plausible = len(names) > 1 and len(set(names)) == len(names) and all(map(word.fullmatch, names))
    return names if plausible else ()
