"""What the configuration changes on values: names, choice, scale. Order: rename, keep, scale and offset.

So `rename` speaks of the board's names, and everything after it of the published ones.
"""

from __future__ import annotations

import math

from serial2iot.reading import Json, Values
from serial2iot.wire.options import WireOptions
from serial2iot.wire.structs import scaled


class Transform:
    """Makes new values of values. Only numbers are scaled; a result beyond a double becomes None."""

    def __init__(self, options: WireOptions) -> None:
        self.nulled = 0
        self._rename = dict(options.rename)
        self._keep = options.keep
        self._linear = {
            name: (options.scale.get(name, 1.0), options.offset.get(name, 0.0))
            for name in (*options.scale, *options.offset)
        }

    @staticmethod
    def wanted(options: WireOptions) -> bool:
        """Whether the configuration asks for any of it."""
        return bool(options.rename or options.keep or options.scale or options.offset)

    def apply(self, values: Values) -> Values:
        """The values as they are published; empty if none is kept."""
        changed = {self._rename.get(name, name): value for name, value in values.items()}
        if self._keep:
            changed = {name: value for name, value in changed.items() if name in self._keep}
        for name, (scale, offset) in self._linear.items():
            if name in changed:
                changed[name] = self._scaled(changed[name], scale, offset)
        return changed

    def _scaled(self, value: Json, scale: float, offset: float) -> Json:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return value
        number = scaled(value, scale, offset)
        if math.isfinite(number):
            return number
        self.nulled += 1
        return None
