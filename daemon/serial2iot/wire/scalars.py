"""Single values as text spells them, and the encoder that puts values on their way.

What becomes of a number, everywhere in the wire room:

- Not finite, as Arduino's Print and C's printf spell it (`nan`, `inf`, `ovf`), or finite in its digits but
  beyond a double (`1e999`): None, which is JSON's null. The caller counts it.
- An integer beyond signed 64 bits: text of the same digits. JSON can carry it as a number, but AWS IoT's
  SQL and most consumers would round it or refuse the reading; as text nothing is lost.
"""

from __future__ import annotations

import math
import re
from typing import TypeAlias

import msgspec

from serial2iot.reading import Values
from serial2iot.wire.frame import BadFrame, bad

Number: TypeAlias = "int | float | str | None"

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)

FINITE = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
NOT_FINITE = r"[+-]?(?i:nan|inf(?:inity)?|ovf)"
"""Arduino's Print writes `nan`, `inf`, and `ovf` beyond an unsigned long (cores/arduino/Print.cpp)."""

_NUMBER = re.compile(rf"([+-]?[0-9]+)|({FINITE})|{NOT_FINITE}")
_MOST_DIGITS = 19

encode = msgspec.json.Encoder().encode
"""Values to a JSON object's bytes. The one place; what decoders give is always encodable."""


def number(text: str) -> Number:
    """The number that `text` is, without white space around it. Raises ValueError for anything else."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError(text)
    if match.lastindex == 1:
        return integer(text)
    return finite(float(text)) if match.lastindex else None


def integer(digits: str) -> int | str:
    """What digits with an optional sign say; as many as there are."""
    if len(digits) < _MOST_DIGITS:
        return int(digits)
    bare = digits.lstrip("+-").lstrip("0") or "0"
    signed = f"-{bare}" if digits.startswith("-") else bare
    return signed if len(bare) > _MOST_DIGITS else storable(int(signed))


def storable(value: int) -> int | str:
    """An integer; as its text where 64 bits do not hold it."""
    return value if INT64_MIN <= value <= INT64_MAX else str(value)


def finite(value: float) -> float | None:
    """None in place of NaN and the infinities."""
    return value if math.isfinite(value) else None


def plain_text(frame: bytes) -> str | BadFrame:
    """A frame as text. Reasons: `not_utf8`; `nul_byte`, which is noise or a wrong baud, never a value."""
    try:
        text = frame.decode()
    except UnicodeDecodeError:
        return bad("not_utf8", frame)
    return bad("nul_byte", frame) if "\0" in text else text


def named(values: list[Number], names: tuple[str, ...]) -> Values:
    """Bare values under their names: `names` if they fit, else `value`, or `value1`, `value2`, ..."""
    if len(values) == len(names):
        return dict(zip(names, values, strict=True))
    if len(values) == 1:
        return {"value": values[0]}
    return {f"value{place}": value for place, value in enumerate(values, 1)}


def whole(part: re.Pattern[str], text: str) -> list[re.Match[str]]:
    """The parts that `text` is made of from end to end; none, if anything else is in it."""
    parts = []
    at = 0
    while at < len(text):
        match = part.match(text, at)
        if match is None:
            return []
        parts.append(match)
        at = match.end()
    return parts
