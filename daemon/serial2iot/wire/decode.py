"""The decoder that a port's options ask for: frames to values."""

from __future__ import annotations

from typing import Protocol

from serial2iot.reading import Values
from serial2iot.wire.auto import AutoDecoder
from serial2iot.wire.frame import BadFrame
from serial2iot.wire.objects import JsonDecoder
from serial2iot.wire.options import WireOptions
from serial2iot.wire.plotter import PlotterDecoder
from serial2iot.wire.scalars import encode
from serial2iot.wire.structs import StructDecoder
from serial2iot.wire.text import (
    CsvDecoder,
    KeyValueDecoder,
    NumberDecoder,
    RegexDecoder,
    VerbatimDecoder,
)

__all__ = ["Decoder", "decoder", "encode"]


class Decoder(Protocol):
    """One frame to what it says. Whatever the bytes: no exception, and values that can be encoded."""

    def decode(self, frame: bytes) -> Values | BadFrame | None:
        """The values; or why there are none; or None: taken in, but no reading (a header, an empty line).

        A frame may also say, in so many words, nothing: empty values are no reading either.
        """

    def reset(self) -> None:
        """Forget what was learned from the device that was there: another may be there now."""

    @property
    def nulled(self) -> int:
        """How many NaN and infinities have become None so far; it only grows."""


def decoder(options: WireOptions) -> Decoder:
    """Build it. The options have passed `rules.check`."""
    match options.decode:
        case "auto":
            return AutoDecoder(options.names)
        case "json":
            return JsonDecoder()
        case "plotter":
            return PlotterDecoder(options.names)
        case "csv":
            return CsvDecoder(options.names, options.separator, options.text_keys)
        case "number":
            return NumberDecoder()
        case "keyvalue":
            return KeyValueDecoder(options.text_keys)
        case "regex":
            return RegexDecoder(options.regex, options.text_keys)
        case "struct":
            return StructDecoder(options.fields, options.endian)
        case "text":
            return VerbatimDecoder()
