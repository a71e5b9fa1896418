"""Numbers at fixed places of a binary frame, as a data sheet's table lists them."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable

from serial2iot.reading import Values
from serial2iot.wire.frame import BadFrame, bad
from serial2iot.wire.options import Endian, FieldOptions, FieldType
from serial2iot.wire.scalars import storable

_CODES: dict[FieldType, str] = {
    "u8": "B",
    "i8": "b",
    "u16": "H",
    "i16": "h",
    "u32": "I",
    "i32": "i",
    "u64": "Q",
    "i64": "q",
    "f32": "f",
    "f64": "d",
}


def layout(fields: Iterable[FieldOptions], endian: Endian) -> struct.Struct:
    """The struct of fields in ascending places. Raises ValueError where one begins inside the one before."""
    form = ">" if endian == "big" else "<"
    for entry in fields:
        here = struct.calcsize(form)
        gap = 0 if entry.at is None else entry.at - here
        if gap < 0:
            raise ValueError(f"{entry.name} at {entry.at} begins before {here}")
        form += f"{gap}x{_CODES[entry.type]}"
    return struct.Struct(form)


def published_name(entry: FieldOptions) -> str:
    """The field's name with its unit."""
    return f"{entry.name}_{entry.unit}" if entry.unit else entry.name


def scaled(value: float, scale: float, offset: float) -> float:
    """`value * scale + offset`, without the last bits' noise: 3 * 0.1 is 0.3.

    15 digits are what a double always keeps (DBL_DIG).
    """
    return float(f"{value * scale + offset:.15g}")


class StructDecoder:
    """Reason: `too_short`, a frame that ends before the last field. What follows it is of no interest."""

    def __init__(self, fields: tuple[FieldOptions, ...], endian: Endian) -> None:
        self.nulled = 0
        self._struct = layout(fields, endian)
        self._fields = [(published_name(f), f.type == "f32", f.scale, f.offset) for f in fields]

    def decode(self, frame: bytes) -> Values | BadFrame | None:
        """See Decoder."""
        if len(frame) < self._struct.size:
            return bad("too_short", frame)
        values: Values = {}
        numbers = self._struct.unpack_from(frame)
        for (name, single, scale, offset), number in zip(self._fields, numbers, strict=True):
            values[name] = self._value(_shortest(number) if single else number, scale, offset)
        return values

    def reset(self) -> None:
        """See Decoder. Nothing is learned here."""

    def _value(self, number: float, scale: float, offset: float) -> float | str | None:
        if scale != 1 or offset:
            number = scaled(number, scale, offset)
        if isinstance(number, int):
            return storable(number)
        if math.isfinite(number):
            return number
        self.nulled += 1
        return None


def _shortest(number: float) -> float:
    """The shortest decimal that is the same 32-bit float: 23.4, where the double says 23.399999618530273."""
    if math.isfinite(number):
        raw = struct.pack("f", number)
        for digits in (6, 7, 8):
            short = float(f"{number:.{digits}g}")
            try:
                if struct.pack("f", short) == raw:
                    return short
            except OverflowError:
                continue
    return number
