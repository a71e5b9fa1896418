"""Sending less: which readings are worth a message. Each is compared with the last one admitted."""

from __future__ import annotations

from serial2iot.reading import Json, Values
from serial2iot.wire.options import WireOptions


class Filter:
    """Admits a reading if `min_interval_s` is over and, with `on_change` or a dead band, something changed.

    A key with a dead band changed if it moved by at least that much; any other if it is not equal. A key that
    came, went, or turned from or into null changed in any case.
    """

    def __init__(self, options: WireOptions) -> None:
        self._min_interval_s = options.min_interval_s
        self._on_change = options.on_change or bool(options.dead_band)
        self._dead_band = dict(options.dead_band)
        self._last: Values | None = None
        self._since = 0.0

    @staticmethod
    def wanted(options: WireOptions) -> bool:
        """Whether the configuration asks for any of it."""
        return bool(options.min_interval_s or options.on_change or options.dead_band)

    def admit(self, values: Values, now: float) -> bool:
        """Whether to publish. `now` is monotonic, in seconds. The first reading always is."""
        if self._last is not None:
            if now - self._since < self._min_interval_s:
                return False
            if self._on_change and not self._changed(values, self._last):
                return False
        self._last = values
        self._since = now
        return True

    def _changed(self, values: Values, last: Values) -> bool:
        if values.keys() != last.keys():
            return True
        return any(
            self._moved(value, last[name], self._dead_band.get(name)) for name, value in values.items()
        )

    @staticmethod
    def _moved(value: Json, last: Json, band: float | None) -> bool:
        if band and isinstance(value, int | float) and isinstance(last, int | float):
            return abs(value - last) >= band
        return value != last
