"""The rules of `wire.rules` for values: names, patterns, fields, scales and the filter."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from serial2iot.errors import ConfigError
from serial2iot.wire.frame_rules import in_range
from serial2iot.wire.options import WireOptions
from serial2iot.wire.structs import layout, published_name


def check_decode(options: WireOptions) -> None:
    """Raise ConfigError for a decoder that could not be built."""
    _unique("names", options.names)
    if len(options.separator) != 1 or options.separator in '"\r\n':
        raise ConfigError(
            f"separator = {options.separator!r} is not one character",
            key="separator",
            hint='Allowed is any one character except a quote or a line end: ",", ";", "\\t".',
        )
    if options.decode == "regex":
        _check_regex(options.regex)
    if options.decode == "struct":
        _check_struct(options)


def _check_regex(patterns: Iterable[str]) -> None:
    groups = 0
    for pattern in patterns:
        try:
            groups += len(re.compile(pattern).groupindex)
        except re.error as error:
            raise ConfigError(
                f"regex {pattern!r}: {error}",
                key="regex",
                hint="In TOML, write it between single quotes, so that backslashes stay as they are.",
            ) from None
    if not groups:
        raise ConfigError(
            "regex has no named group",
            key="regex",
            hint="Name what is to be published: '(?P<temperature>[-0-9.]+) C'.",
        )


def _check_struct(options: WireOptions) -> None:
    if options.framing == "lines":
        raise ConfigError(
            'decode = "struct" does not go with framing = "lines"',
            key="decode",
            hint='Binary numbers can contain a line end. Use framing = "fixed", "length", "cobs" or "slip".',
        )
    _unique("fields.name", map(published_name, options.fields))
    for entry in options.fields:
        _scale("fields.scale", entry.name, entry.scale)
        _offset("fields.offset", entry.name, entry.offset)
    try:
        size = layout(options.fields, options.endian).size
    except ValueError as error:
        raise ConfigError(
            f"field {error}",
            key="fields.at",
            hint="List the fields in the order in which they are in the frame; `at` counts from 0.",
        ) from None
    in_range("fields", size, 1, options.frame_bytes or options.max_frame_bytes)


def check_values(options: WireOptions) -> None:
    """Raise ConfigError for a transform or filter that cannot be meant."""
    _unique("rename", list(options.rename.values()))
    for name, factor in options.scale.items():
        _scale("scale", name, factor)
    for name, offset in options.offset.items():
        _offset("offset", name, offset)
    if not options.min_interval_s >= 0:
        raise ConfigError(
            f"min_interval_s = {options.min_interval_s:g} is negative", key="min_interval_s", hint="0 is off."
        )
    for name, band in options.dead_band.items():
        if not band >= 0:
            raise ConfigError(
                f"dead_band of {name!r} is negative",
                key="dead_band",
                hint="Give the smallest change to send.",
            )
    if options.keep:
        for key, named in _published_names(options).items():
            stray = sorted(set(named) - options.keep)
            if stray:
                raise ConfigError(
                    f"{key} names {stray[0]!r}, which keep does not let through",
                    key=key,
                    hint="rename comes first: all other keys speak of the published names.",
                )


def _published_names(options: WireOptions) -> Mapping[str, Iterable[str]]:
    return {
        "rename": options.rename.values(),
        "scale": options.scale,
        "offset": options.offset,
        "dead_band": options.dead_band,
    }


def _unique(key: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if not name or name in seen:
            what = f"names {name!r} twice" if name else "has an empty name"
            raise ConfigError(f"{key} {what}", key=key, hint="Each value needs a name of its own.")
        seen.add(name)


def _scale(key: str, name: str, factor: float) -> None:
    if factor == 0 or not math.isfinite(factor):
        raise ConfigError(
            f"the scale of {name!r} is {factor:g}",
            key=key,
            hint="published = value * scale + offset; 1 leaves it as it is.",
        )


def _offset(key: str, name: str, offset: float) -> None:
    if not math.isfinite(offset):
        raise ConfigError(
            f"the offset of {name!r} is {offset:g}",
            key=key,
            hint="published = value * scale + offset; 0 leaves it as it is.",
        )
