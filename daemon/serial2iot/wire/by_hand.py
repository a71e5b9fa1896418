"""A reading typed by a person: what `serial2iot publish` takes. Pure."""

from __future__ import annotations

from serial2iot.errors import Serial2IotError
from serial2iot.reading import Values
from serial2iot.wire.auto import AutoDecoder
from serial2iot.wire.frame import BadFrame
from serial2iot.wire.scalars import encode

LONGEST = 64 << 10  # bytes; well below what one message may carry


def reading_by_hand(text: str) -> tuple[Values, bytes]:
    """The values, and encoded. Read as `decode = "auto"` reads a line; any other text is the value itself.

    Raises Serial2IotError for nothing, and for more than a message carries.
    """
    line = text.encode(errors="replace")
    if not text.strip() or len(line) > LONGEST:
        raise Serial2IotError(
            f"a reading has 1 to {LONGEST} bytes", hint="""like: '{"t": 23.4}', t=23.4, 23.4"""
        )
    values = AutoDecoder().decode(line)
    if isinstance(values, BadFrame):
        if text.lstrip().startswith("{"):
            raise Serial2IotError(
                f"begins as a JSON object and is none ({values.reason})", hint='like: {"t": 23.4}'
            )
        values = {"value": text}
    if not values:  # labels alone, as the Serial Plotter's header line has them
        values = {"value": text}
    return values, encode(values)
