"""JSON, as sketches write it: by a library, or by hand.

One typed, compiled decode takes what is right at once, and refuses what needs a second look: integers
beyond 64 bits, numbers beyond a double, objects nested too deep, and the bare `nan` that `Serial.print`
puts into JSON made by hand. Those are mended and decoded again; see `scalars` for what becomes of numbers.
Of repeated keys the last one counts; an escaped lone surrogate is no text in any encoding, and so no JSON
here.
"""

from __future__ import annotations

import math
import re
from functools import cache
from typing import Annotated, Any

import msgspec

from serial2iot.reading import Values
from serial2iot.wire import scalars
from serial2iot.wire.frame import BadFrame, bad

MOST_LEVELS = 8
"""Levels of objects and lists, as many as a device shadow may have (AWS IoT quotas)."""


def _json_type(levels: int) -> Any:
    """Any JSON value of up to so many levels, with integers that fit 64 bits."""
    integer: Any = Annotated[int, msgspec.Meta(ge=scalars.INT64_MIN, le=scalars.INT64_MAX)]
    scalar: Any = integer | float | str | bool | None
    value: Any = scalar
    for _ in range(levels):
        value = scalar | list[value] | dict[str, value]
    return value


_INSIDE = _json_type(MOST_LEVELS - 1)
decode_object: Any = msgspec.json.Decoder(dict[str, _INSIDE]).decode  # type: ignore[valid-type]
"""The hot path: an object's bytes to Values. Raises ValueError; then it is `JsonDecoder.mend`'s turn."""


@cache
def _decoder_of_anything() -> Any:
    """Made when first needed: it takes some milliseconds, and most boards never need it."""
    return msgspec.json.Decoder(_json_type(MOST_LEVELS)).decode


_TOKEN = re.compile(
    # A string, its end possibly missing, so that a quote never makes the search start over (linear time).
    rb'"(?:[^"\\]|\\.)*+"?'
    rb"|(?P<null>" + scalars.NOT_FINITE.encode() + rb")\b"
    rb"|(?P<number>-?[0-9]+(?P<fraction>\.[0-9]+)?(?P<exponent>[eE][+-]?[0-9]+)?)",
    re.DOTALL,
)


class JsonDecoder:
    """JSON values; what is no object becomes `value`. Reasons: `not_json`, `not_utf8`, `too_deep`."""

    def __init__(self) -> None:
        self.nulled = 0

    def decode(self, frame: bytes) -> Values | BadFrame | None:
        """See Decoder."""
        if not frame or frame.isspace():
            return None
        try:
            value = _decoder_of_anything()(frame)
        except ValueError:
            value = self.mend(frame)
        return value if isinstance(value, (dict, BadFrame)) else {"value": value}

    def reset(self) -> None:
        """See Decoder. Nothing is learned here."""

    def mend(self, frame: bytes) -> Any:
        """The value of a frame that was refused, or the reason why there is none."""
        nulled = 0

        def mended(match: re.Match[bytes]) -> bytes:
            nonlocal nulled
            token = match[0]
            if match["number"] is not None:
                if match["fraction"] is None and match["exponent"] is None:
                    value = scalars.integer(token.decode())
                    return f'"{value}"'.encode() if isinstance(value, str) else token
                if math.isfinite(float(token)):
                    return token
            elif match["null"] is None:
                return token
            nulled += 1
            return b"null"

        try:
            value = _decoder_of_anything()(_TOKEN.sub(mended, frame))
        except UnicodeDecodeError:
            return bad("not_utf8", frame)
        except ValueError:
            return bad(_why(frame), frame)
        self.nulled += nulled
        return value


def _why(frame: bytes) -> str:
    """Why a frame that cannot be mended is refused."""
    try:
        msgspec.json.decode(frame)
    except RecursionError:
        return "too_deep"
    except ValueError:
        return "not_json"
    return "too_deep"
