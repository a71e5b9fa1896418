"""serial2iot: from a serial line to AWS IoT Core, with nothing lost and a truthful shadow."""

__version__ = "0.1.0"

RELEASED_AT = 1_795_392_000
"""Epoch seconds of this release (2026-11-23): no clock that is right shows an earlier time."""
