"""Which wire options go together. The only place where a `WireOptions` is judged.

The tables say which key has a meaning where; a key that would be ignored is an error, because its owner
believes that it does something.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields

from serial2iot.errors import ConfigError
from serial2iot.wire.checksum import WIDTHS
from serial2iot.wire.options import (
    LARGEST_FRAME_BYTES,
    SMALLEST_GAP_MS,
    ChecksumOptions,
    LengthOptions,
    WireOptions,
)
from serial2iot.wire.structs import layout, published_name

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
    _check_framing(options)
    if options.length is not None:
        _check_length(options, options.length)
    if options.checksum is not None:
        _check_checksum(options, options.checksum)
    _check_decode(options)
    _check_values(options)


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


def _check_framing(options: WireOptions) -> None:
    _in_range("max_frame_bytes", options.max_frame_bytes, 1, LARGEST_FRAME_BYTES)
    _in_range("tail_bytes", options.tail_bytes, 0, 255)
    if options.gap_ms is not None and not options.gap_ms >= SMALLEST_GAP_MS:
        raise ConfigError(
            f"gap_ms = {options.gap_ms:g} is below {SMALLEST_GAP_MS:g}",
            key="gap_ms",
            hint="USB adapters blur shorter silences. Use a framing that marks its frames, or a longer gap.",
        )
    if options.frame_bytes is not None:
        smallest = max(1, len(options.start) + len(options.end))
        _in_range("frame_bytes", options.frame_bytes, smallest, options.max_frame_bytes)

    if options.start and options.start == options.end:
        raise ConfigError(
            "start and end are the same",
            key="end",
            hint='After a lost byte nobody could tell them apart. Use framing = "delimited".',
        )


def _check_length(options: WireOptions, length: LengthOptions) -> None:
    _in_range("length.extra_bytes", length.extra_bytes, 0, 255)
    if length.at is not None:
        _in_range("length.at", length.at, len(options.start), options.max_frame_bytes - length.width_bytes)


def _check_checksum(options: WireOptions, checksum: ChecksumOptions) -> None:
    _in_range("checksum.skip_bytes", checksum.skip_bytes, 0, options.max_frame_bytes)
    _in_range("checksum.tail_bytes", checksum.tail_bytes, 0, 255)
    if checksum.after is None and checksum.covers_marker:
        raise ConfigError(
            "checksum.covers_marker needs checksum.after",
            key="checksum.covers_marker",
            hint="It says whether the marker before ASCII hex digits is covered. Leave it out.",
        )
    if checksum.after is not None and (checksum.tail_bytes or not checksum.after):
        key = "checksum.tail_bytes" if checksum.after else "checksum.after"
        raise ConfigError(
            f"{key} does not go with ASCII hex digits behind a marker",
            key=key,
            hint='Digits are looked for behind the last `after`, as in after = "*"; white space may follow.',
        )
    frame_bytes = options.frame_bytes
    taken = checksum.skip_bytes + WIDTHS[checksum.kind] + checksum.tail_bytes
    if frame_bytes is not None and taken > frame_bytes:
        raise ConfigError(
            f"the checksum with its skip_bytes and tail_bytes takes {taken} of a frame's {frame_bytes} bytes",
            key="checksum",
            hint="frame_bytes counts the whole frame, the checksum included.",
        )


def _check_decode(options: WireOptions) -> None:
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
    try:
        size = layout(options.fields, options.endian).size
    except ValueError as error:
        raise ConfigError(
            f"field {error}",
            key="fields.at",
            hint="List the fields in the order in which they are in the frame; `at` counts from 0.",
        ) from None
    _in_range("fields", size, 1, options.frame_bytes or options.max_frame_bytes)


def _check_values(options: WireOptions) -> None:
    _unique("rename", list(options.rename.values()))
    for name, factor in options.scale.items():
        _scale("scale", name, factor)
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


def _in_range(key: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{key} = {value} is not from {low} to {high}", key=key, hint=f"{low} to {high}.")


def _unique(key: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if not name or name in seen:
            what = f"names {name!r} twice" if name else "has an empty name"
            raise ConfigError(f"{key} {what}", key=key, hint="Each value needs a name of its own.")
        seen.add(name)


def _scale(key: str, name: str, factor: float) -> None:
    if factor == 0:
        raise ConfigError(
            f"the scale of {name!r} is 0",
            key=key,
            hint="published = value * scale + offset; 1 leaves it as it is.",
        )
