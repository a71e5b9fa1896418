"""`decode = "auto"`: what Arduino sketches print, recognised line by line.

In this order, each line for itself:

1. It begins with `{`: a JSON object, or bad (`not_json`, `too_deep`).
2. It is `key=value` parts and nothing else.
3. It is what the Serial Plotter understands: `label:value` parts, labels alone, bare values (CSV, or one
   number).
4. Anything else is text, a greeting or a debug line, and bad: `not_understood`. So are JSON lists and
   words: a list has no names to publish under, and `decode = "json"` takes both.
"""

from __future__ import annotations

from serial2iot.reading import Values
from serial2iot.wire.frame import BadFrame, bad
from serial2iot.wire.objects import JsonDecoder, decode_object
from serial2iot.wire.plotter import PlotterDecoder
from serial2iot.wire.scalars import plain_text
from serial2iot.wire.text import KeyValueDecoder

_BRACE = ord("{")


class AutoDecoder:
    """Reasons: those above, `wrong_columns` where `names` are configured, `not_utf8`, `nul_byte`."""

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        self._json = JsonDecoder()
        self._keyed = KeyValueDecoder()
        self._plotter = PlotterDecoder(names, reason="not_understood")

    @property
    def nulled(self) -> int:
        """See Decoder."""
        return self._json.nulled + self._keyed.nulled + self._plotter.nulled

    def decode(self, frame: bytes) -> Values | BadFrame | None:
        """See Decoder. The hot path: no call but the codec's for a good object."""
        if frame and frame[0] == _BRACE:
            try:
                return decode_object(frame)  # type: ignore[no-any-return]
            except ValueError:
                return self._json.mend(frame)  # type: ignore[no-any-return]
        return self._decode_text(frame)

    def reset(self) -> None:
        """See Decoder."""
        self._plotter.reset()

    def _decode_text(self, frame: bytes) -> Values | BadFrame | None:
        text = plain_text(frame)
        if isinstance(text, BadFrame):
            return text
        text = text.strip().removeprefix("\ufeff")
        if text.startswith("{"):
            return self._json.decode(text.encode())
        if "=" in text:
            return self._keyed.read(text) or bad("not_understood", frame)
        return self._plotter.read(text, frame)
