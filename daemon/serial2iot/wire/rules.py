"""Which wire options go together. `check` is the only judge of a `WireOptions`.

The tables say which key has a meaning where; a key that would be ignored is an error, because its owner
believes that it does something. Sizes are judged in `frame_rules`, names and numbers in `value_rules`.
"""

from __future__ import annotations

from dataclasses import fields

from serial2iot.errors import ConfigError
from serial2iot.wire.frame_rules import check_checksum, check_framing, check_length
from serial2iot.wire.options import WireOptions
from serial2iot.wire.value_rules import check_decode, check_values

MEANT_FOR: dict[str, tuple[str, frozenset[str]]] = {
    "line_end": ("framing", frozenset({"lines"})),
    "delimiter": ("framing", frozenset({"delimited"})),
    "start": ("framing", frozenset({"markers", "fixed", "length"})),
    "end": ("framing", frozenset({"markers", "fixed"})),
    "tail_bytes": ("framing", frozenset({"markers"})),
    "frame_bytes": ("framing", frozenset({"fixed"})),
    "length": ("framing", frozenset({"length"})),
    "gap_ms": ("framing", frozenset({"gap"})),
    "names": ("decode", frozenset({"auto", "plotter", "csv"})),
    "separator": ("decode", frozenset({"csv"})),
    "regex": ("decode", frozenset({"regex"})),
    "fields": ("decode", frozenset({"struct"})),
    "endian": ("decode", frozenset({"struct"})),
    "text_keys": ("decode", frozenset({"csv", "keyvalue", "regex"})),
}
"""Key -> (the key that decides, the choices under which it has a meaning)."""

NEEDS: dict[str, tuple[str, ...]] = {
    "delimited": ("delimiter",),
    "fixed": ("frame_bytes",),
    "length": ("length",),
    "markers": ("start", "end"),
    "gap": ("gap_ms",),
    "regex": ("regex",),
    "struct": ("fields",),
}


def check(options: WireOptions) -> None:
    """Raise ConfigError for the first rule broken; its `key` is the TOML key inside `[[serial]]`.

    A key of an inline table is dotted: `checksum.after`, `length.at`, `fields.at`.
    """
    _check_company(options)
    check_framing(options)
    if options.length is not None:
        check_length(options, options.length)
    if options.checksum is not None:
        check_checksum(options, options.checksum)
    check_decode(options)
    check_values(options)


def _check_company(options: WireOptions) -> None:
    """Every key that is set has a meaning, and every key that is needed is set."""
    defaults = WireOptions()
    given = {f.name for f in fields(options) if getattr(options, f.name) != getattr(defaults, f.name)}
    for key in sorted(given & MEANT_FOR.keys()):
        decider, choices = MEANT_FOR[key]
        choice = getattr(options, decider)
        if choice not in choices:
            allowed = " or ".join(f'"{name}"' for name in sorted(choices))
            raise ConfigError(
                f'{key} has no meaning with {decider} = "{choice}"',
                key=key,
                hint=f"Leave it out, or set {decider} to {allowed}.",
            )
    for decider in ("framing", "decode"):
        choice = getattr(options, decider)
        for key in NEEDS.get(choice, ()):
            if key not in given:
                raise ConfigError(f'{decider} = "{choice}" needs {key}', key=key, hint=f"Add {key} = ...")
