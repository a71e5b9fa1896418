"""What one `[[serial]]` says about the meaning of its bytes. How they arrive is in `port.options`.

A field's name is its TOML key; `LengthOptions`, `ChecksumOptions` and `FieldOptions` are inline tables.
Each field says its default, what is allowed, and for which `framing` or `decode` it has a meaning;
`wire.rules.check` enforces it. Sizes in bytes.

Keys of `bytes` are given in TOML as text (its UTF-8 is meant) or as a list of byte values, `[0x42, 0x4D]`;
`byte_string` turns either into bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from serial2iot.errors import ConfigError

Framing: TypeAlias = Literal["lines", "delimited", "fixed", "length", "markers", "cobs", "slip", "gap"]
Decode: TypeAlias = Literal["auto", "json", "plotter", "csv", "number", "keyvalue", "regex", "struct", "text"]
Endian: TypeAlias = Literal["big", "little"]
ChecksumKind: TypeAlias = Literal[
    "sum8",  # of all bytes, modulo 256 (SDS011)
    "sum8-negated",  # the two's complement of it (MH-Z19)
    "sum16",  # of all bytes, modulo 65536 (PMS5003)
    "xor8",  # of all bytes (NMEA 0183)
    "crc8",  # polynomial 0x07 (SMBus)
    "crc8-maxim",  # 1-Wire
    "crc16-arc",  # DSMR P1
    "crc16-modbus",
    "crc16-ccitt-false",
    "crc16-xmodem",
    "crc16-x25",
    "crc32",
]
FieldType: TypeAlias = Literal["u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64"]

SMALLEST_GAP_MS = 20.0
"""USB adapters deliver in steps of up to 16 ms (FTDI's latency timer), so a shorter gap cannot be seen."""
LARGEST_FRAME_BYTES = 128 << 10
"""AWS IoT Core takes payloads of up to 128 KB; a longer frame could not be published."""


@dataclass(frozen=True, slots=True)
class LengthOptions:
    """`length = { ... }`: where a frame says how long it is. `framing = "length"` only.

    Without `start`, what follows a lost byte is found by trying every byte: keep `max_frame_bytes` near the truth.
    """

    width_bytes: Literal[1, 2, 4] = 2  # of the number
    endian: Endian = "big"
    at: int | None = None  # its place in the frame, 0 or more; None: right after `start`
    counts: Literal["rest", "frame"] = "rest"  # what it counts: the bytes after it, or the whole frame
    extra_bytes: int = 0  # bytes it forgets to count (a checksum, a tail): 0 to 255


@dataclass(frozen=True, slots=True)
class ChecksumOptions:
    """`checksum = { kind = "...", ... }`: the proof at the end of a frame, checked and cut off.

    Binary unless `after` is given: then it is ASCII hex digits behind the last such marker.
    """

    kind: ChecksumKind
    endian: Endian = "big"  # of a binary checksum
    skip_bytes: int = 0  # bytes at the frame's begin that it does not cover, 0 or more (NMEA's `$`)
    tail_bytes: int = 0  # bytes behind a binary checksum (an end marker), 0 or more
    after: bytes | None = None  # the marker before ASCII hex digits: "*" (NMEA), "!" (DSMR)
    covers_marker: bool = False  # `after` itself is covered (DSMR)


@dataclass(frozen=True, slots=True)
class FieldOptions:
    """One entry of `fields = [{ ... }]`: a number in a binary frame. `decode = "struct"` only."""

    name: str
    type: FieldType
    at: int | None = None  # its place in the frame, `start` included; None: right after the one before
    scale: float = 1.0  # published = raw * scale + offset; not 0
    offset: float = 0.0
    unit: str = ""  # joined to the name with an underscore: name "pm2_5", unit "ug_m3" -> "pm2_5_ug_m3"


@dataclass(frozen=True, slots=True)
class WireOptions:
    """The bytes of one port. The keys' sections are the steps a byte goes through."""

    # -- frames
    framing: Framing = "lines"
    max_frame_bytes: int = 4096  # 1 to 131072; a longer frame is thrown away as `too_long`
    line_end: Literal["lf", "crlf", "cr"] = "lf"  # lines; `lf` also takes a CR before it away
    delimiter: bytes = b""  # delimited (needed)
    start: bytes = b""  # markers (needed); fixed, length: the bytes every frame begins with
    end: bytes = b""  # markers (needed); fixed: the bytes every frame ends with, checksum.tail_bytes included
    tail_bytes: int = 0  # markers: bytes that still follow `end`, 0 to 255 (DSMR: a CRC and a line end, 6)
    frame_bytes: int | None = None  # fixed (needed): of the whole frame, `start` and `end` included
    length: LengthOptions | None = None  # length (needed)
    gap_ms: float | None = None  # gap (needed): silence that ends a frame; at least 20

    # -- proof
    checksum: ChecksumOptions | None = None  # None: frames are believed

    # -- values
    decode: Decode = "auto"
    names: tuple[str, ...] = ()  # auto, plotter, csv: names of bare values, in order; unique
    separator: str = ","  # csv: one character
    regex: tuple[str, ...] = ()  # regex (needed): a text or a list, each searched; named groups become values
    fields: tuple[FieldOptions, ...] = ()  # struct (needed): unique names
    endian: Endian = "big"  # struct
    text_keys: frozenset[str] = frozenset()  # csv, keyvalue, regex: values that stay text ("007")

    # -- transforms; `rename` comes first, so all the others speak of published names
    rename: Mapping[str, str] = field(default_factory=dict)
    keep: frozenset[str] = frozenset()  # empty: all
    scale: Mapping[str, float] = field(default_factory=dict)  # published = value * scale + offset; not 0
    offset: Mapping[str, float] = field(default_factory=dict)

    # -- filter
    min_interval_s: float = 0.0  # 0 or more: at most one reading in this time
    on_change: bool = False  # only readings that differ from the last one published
    dead_band: Mapping[str, float] = field(default_factory=dict)  # a key's smallest change; implies on_change


def byte_string(value: str | Sequence[int]) -> bytes:
    """Bytes as the configuration writes them. Raises ConfigError for a number that is no byte."""
    if isinstance(value, str):
        return value.encode()
    try:
        return bytes(value)
    except (TypeError, ValueError):
        raise ConfigError(
            f"{value!r} is neither text nor a list of bytes",
            hint='Write text ("\\r\\n") or a list of numbers from 0 to 255 ([0x42, 0x4D]).',
        ) from None
