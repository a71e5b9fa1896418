"""Which wire options go together. The only place where a `WireOptions` is judged."""

from __future__ import annotations

from serial2iot.wire.options import WireOptions


def check(options: WireOptions) -> None:
    """Raise ConfigError for the first rule broken; its `key` is the TOML key inside `[[serial]]`.

    A key of an inline table is dotted: `checksum.after`, `length.at`, `fields.name`.
    """
