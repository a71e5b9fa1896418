"""Renames, choice and scale."""

from __future__ import annotations

from serial2iot.reading import Values
from serial2iot.wire.options import WireOptions
from serial2iot.wire.transform import Transform


def test_rename_comes_first_and_the_rest_speaks_of_published_names() -> None:
    options = WireOptions(
        rename={"t": "temperature", "x": "soil"},
        keep=frozenset({"temperature", "soil"}),
        scale={"temperature": 0.1},
        offset={"temperature": -40.0, "soil": 1.0},
    )
    values: Values = {"t": 643, "x": 1.5, "soilless": 1, "h": 55}
    assert Transform(options).apply(values) == {"temperature": 24.3, "soil": 2.5}
    assert values["t"] == 643, "what came in is not changed"


def test_only_numbers_are_scaled() -> None:
    transform = Transform(WireOptions(scale={"a": 2.0, "b": 2.0, "c": 2.0, "d": 2.0}))
    assert transform.apply({"a": None, "b": "text", "c": True, "d": 3}) == {
        "a": None,
        "b": "text",
        "c": True,
        "d": 6.0,
    }


def test_a_result_beyond_a_double_is_null_and_counted() -> None:
    transform = Transform(WireOptions(scale={"a": 1e300}))
    assert transform.apply({"a": 1e300}) == {"a": None}
    assert transform.nulled == 1


def test_wanted_only_where_configured() -> None:
    assert not Transform.wanted(WireOptions())
    assert Transform.wanted(WireOptions(keep=frozenset({"t"})))
