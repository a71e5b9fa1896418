"""Numbers at fixed places of binary frames."""

from __future__ import annotations

import struct

import pytest

from serial2iot.wire.frame import BadFrame
from serial2iot.wire.options import FieldOptions
from serial2iot.wire.structs import StructDecoder, layout

FIELD = FieldOptions


@pytest.mark.parametrize(
    ("kind", "form", "number"),
    [
        *(("u8", "B", 255), ("i8", "b", -128), ("u16", "H", 65535), ("i16", "h", -32768)),
        *(("u32", "I", 2**32 - 1), ("i32", "i", -(2**31)), ("u64", "Q", 2**63 - 1), ("i64", "q", -(2**63))),
        *(("f32", "f", 1.5), ("f64", "d", 0.1)),
    ],
)
def test_every_type_in_both_byte_orders(kind: str, form: str, number: float) -> None:
    fields = (FIELD("x", kind),)  # type: ignore[arg-type]
    assert StructDecoder(fields, "big").decode(struct.pack(f">{form}", number)) == {"x": number}
    assert StructDecoder(fields, "little").decode(struct.pack(f"<{form}", number)) == {"x": number}


def test_places_scales_and_units() -> None:
    fields = (
        FIELD("a", "u8", at=2),
        FIELD("b", "i16", scale=0.1, unit="c"),
        FIELD("c", "u8", at=6, offset=-40),
    )
    decoder = StructDecoder(fields, "big")
    assert decoder.decode(bytes([9, 9, 1, 0xFF, 0xFE, 9, 71, 9, 9])) == {"a": 1, "b_c": -0.2, "c": 31.0}
    assert decoder.decode(b"123456") == BadFrame("too_short", 6, b"123456")


def test_a_scaled_number_has_no_noise_in_its_last_digits() -> None:
    decoder = StructDecoder((FIELD("x", "u16", scale=0.1),), "big")
    values = [decoder.decode(number.to_bytes(2, "big")) for number in range(2000)]
    assert values == [{"x": number / 10} for number in range(2000)]


@pytest.mark.parametrize("number", [23.4, 0.1, -40.0, 1013.25, 3.4028235e38, 1e-45, 16777217.0, 0.0])
def test_a_single_float_is_its_shortest_decimal(number: float) -> None:
    raw = struct.pack("<f", number)
    values = StructDecoder((FIELD("x", "f32"),), "little").decode(raw)
    assert isinstance(values, dict)
    value = values["x"]
    assert isinstance(value, float)
    assert struct.pack("<f", value) == raw
    assert len(repr(value)) <= 14


def test_what_json_cannot_hold() -> None:
    decoder = StructDecoder((FIELD("f", "f32"), FIELD("d", "f64"), FIELD("q", "u64")), "little")
    frame = struct.pack("<fdQ", float("nan"), float("inf"), 2**64 - 1)
    assert decoder.decode(frame) == {"f": None, "d": None, "q": str(2**64 - 1)}
    assert decoder.nulled == 2


def test_fields_that_overlap_are_refused() -> None:
    with pytest.raises(ValueError, match="b at 1 begins before 2"):
        layout((FIELD("a", "u16"), FIELD("b", "u8", at=1)), "big")
