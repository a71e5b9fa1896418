"""A configuration that cannot work is refused, with the key at fault and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from serial2iot.errors import ConfigError
from serial2iot.wire.options import (
    ChecksumOptions,
    FieldOptions,
    LengthOptions,
    WireOptions,
    byte_string,
)
from serial2iot.wire.rules import check

FIXED: dict[str, Any] = {"framing": "fixed", "frame_bytes": 10}
MARKERS: dict[str, Any] = {"framing": "markers", "start": b"<", "end": b">"}
LENGTH: dict[str, Any] = {"framing": "length"}
BINARY: dict[str, Any] = {"framing": "cobs", "decode": "struct"}
U16 = FieldOptions("a", "u16")


@pytest.mark.parametrize(
    ("key", "options"),
    [
        # a key without a meaning
        ("delimiter", {"delimiter": b";"}),
        ("start", {"start": b"<"}),
        ("gap_ms", {"gap_ms": 50.0}),
        ("line_end", {**MARKERS, "line_end": "cr"}),
        ("names", {"decode": "json", "names": ("a",)}),
        ("separator", {"separator": ";"}),
        ("regex", {"regex": ("(?P<a>.)",)}),
        ("fields", {"fields": (U16,)}),
        ("text_keys", {"text_keys": frozenset({"a"})}),
        # a key that is missing
        ("delimiter", {"framing": "delimited"}),
        ("frame_bytes", {"framing": "fixed"}),
        ("length", {"framing": "length"}),
        ("start", {"framing": "markers", "end": b">"}),
        ("end", {"framing": "markers", "start": b"<"}),
        ("gap_ms", {"framing": "gap"}),
        ("regex", {"decode": "regex"}),
        ("fields", BINARY),
        # sizes
        ("max_frame_bytes", {"max_frame_bytes": 0}),
        ("max_frame_bytes", {"max_frame_bytes": (128 << 10) + 1}),
        ("gap_ms", {"framing": "gap", "gap_ms": 19.9}),
        ("gap_ms", {"framing": "gap", "gap_ms": float("nan")}),
        ("frame_bytes", {"framing": "fixed", "frame_bytes": 0}),
        ("frame_bytes", {"framing": "fixed", "frame_bytes": 3, "start": b"ab", "end": b"cd"}),
        ("frame_bytes", {"framing": "fixed", "frame_bytes": 5000}),
        ("tail_bytes", {**MARKERS, "tail_bytes": 256}),
        ("end", {**MARKERS, "end": b"<"}),
        ("max_frame_bytes", {**MARKERS, "max_frame_bytes": 1}),
        (
            "max_frame_bytes",
            {**LENGTH, "length": LengthOptions(width_bytes=4), "max_frame_bytes": 4, "start": b"a"},
        ),
        ("length.at", {**LENGTH, "start": b"BM", "length": LengthOptions(at=1)}),
        ("length.extra_bytes", {**LENGTH, "length": LengthOptions(extra_bytes=-1)}),
        # checksum
        ("checksum.skip_bytes", {"checksum": ChecksumOptions("xor8", skip_bytes=-1)}),
        ("checksum.tail_bytes", {"checksum": ChecksumOptions("xor8", tail_bytes=-1)}),
        ("checksum.covers_marker", {"checksum": ChecksumOptions("xor8", covers_marker=True)}),
        ("checksum.tail_bytes", {"checksum": ChecksumOptions("xor8", after=b"*", tail_bytes=1)}),
        ("checksum.after", {"checksum": ChecksumOptions("xor8", after=b"")}),
        ("checksum", {**FIXED, "checksum": ChecksumOptions("crc32", skip_bytes=5, tail_bytes=2)}),
        # values
        ("names", {"names": ("t", "t")}),
        ("names", {"names": ("t", "")}),
        ("separator", {"decode": "csv", "separator": ", "}),
        ("separator", {"decode": "csv", "separator": '"'}),
        ("regex", {"decode": "regex", "regex": ("(?P<t>",)}),
        ("regex", {"decode": "regex", "regex": ("t=(.*)",)}),
        ("decode", {"decode": "struct", "fields": (U16,)}),
        ("fields.name", {**BINARY, "fields": (U16, U16)}),
        ("fields.name", {**BINARY, "fields": (FieldOptions("a_b", "u8"), FieldOptions("a", "u8", unit="b"))}),
        ("fields.at", {**BINARY, "fields": (U16, FieldOptions("b", "u8", at=1))}),
        ("fields.at", {**BINARY, "fields": (FieldOptions("b", "u8", at=-1),)}),
        ("fields.scale", {**BINARY, "fields": (FieldOptions("b", "u8", scale=0),)}),
        ("fields", {**FIXED, "decode": "struct", "fields": (FieldOptions("b", "u16", at=9),)}),
        ("rename", {"rename": {"a": "x", "b": "x"}}),
        ("scale", {"scale": {"t": 0}}),
        ("scale", {"scale": {"t": float("inf")}}),
        ("offset", {"offset": {"t": float("nan")}}),
        ("min_interval_s", {"min_interval_s": -1}),
        ("min_interval_s", {"min_interval_s": float("nan")}),
        ("dead_band", {"dead_band": {"t": -1}}),
        ("dead_band", {"keep": frozenset({"t"}), "dead_band": {"h": 1}}),
        ("scale", {"rename": {"t": "temp"}, "keep": frozenset({"temp"}), "scale": {"t": 0.1}}),
    ],
)
def test_refused(key: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as refused:
        check(WireOptions(**options))
    assert refused.value.key == key
    assert refused.value.hint
    assert key.rsplit(".", 1)[-1].split("_")[0] in str(refused.value)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"framing": "delimited", "delimiter": b";"},
        {"framing": "fixed", "frame_bytes": 4096, "checksum": ChecksumOptions("crc32")},
        {**LENGTH, "start": b"BM", "length": LengthOptions(at=2)},
        {**MARKERS, "tail_bytes": 255},
        {"framing": "gap", "gap_ms": 20.0},
        {**BINARY, "fields": (U16, FieldOptions("b", "u8", at=2))},
        {"decode": "csv", "separator": "\t", "names": ("a", "b")},
        {"decode": "regex", "regex": ("^DEBUG", "(?P<t>.)")},
        {"keep": frozenset({"t"}), "rename": {"x": "t"}, "dead_band": {"t": 0}},
    ],
)
def test_accepted(options: dict[str, Any]) -> None:
    check(WireOptions(**options))


def test_byte_strings() -> None:
    assert byte_string("\r\n°") == b"\r\n\xc2\xb0"
    assert byte_string([0x42, 0x4D]) == b"BM"
    for wrong in ([256], [-1], [1.5]):
        with pytest.raises(ConfigError) as refused:
            byte_string(wrong)  # type: ignore[arg-type]
        assert "0x42" in refused.value.hint
