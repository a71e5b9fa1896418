"""Text whose form the configuration names."""

from __future__ import annotations

from typing import Any

import pytest

from serial2iot.wire.decode import Decoder, decoder
from serial2iot.wire.frame import BadFrame
from serial2iot.wire.options import WireOptions


def said(decoding: Decoder, line: str | bytes) -> Any:
    outcome = decoding.decode(line.encode() if isinstance(line, str) else line)
    return outcome.reason if isinstance(outcome, BadFrame) else outcome


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("42", {"value": 42}),
        (" -1.50 \r", {"value": -1.5}),
        ("nan", {"value": None}),
        ("", None),
        ("42 C", "not_a_number"),
        ("1,2", "not_a_number"),
        (b"\xff", "not_utf8"),
        (b"4\x002", "nul_byte"),
    ],
)
def test_number(line: str | bytes, expected: Any) -> None:
    assert said(decoder(WireOptions(decode="number")), line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("t=23.4;card=0042,door=open", {"t": 23.4, "card": "0042", "door": "open"}),
        ('note="2 + 2" n=4', {"note": "2 + 2", "n": 4}),
        ('n="4"', {"n": "4"}),
        ("at=12:05:09", {"at": "12:05:09"}),
        ("", None),
        ("t:23.4", "not_keyvalue"),
        ("t=", "not_keyvalue"),
        ("hello", "not_keyvalue"),
    ],
)
def test_keyvalue(line: str, expected: Any) -> None:
    options = WireOptions(decode="keyvalue", text_keys=frozenset({"card"}))
    assert said(decoder(options), line) == expected


def test_plotter_takes_nothing_else() -> None:
    plotter = decoder(WireOptions(decode="plotter"))
    assert said(plotter, "t:1 h:2") == {"t": 1, "h": 2}
    assert said(plotter, '{"t":1}') == "not_plotter"
    assert said(plotter, "t=1") == "not_plotter"
    assert said(plotter, "hello there") == "not_plotter"


class TestCsv:
    def test_configured_names(self) -> None:
        csv = decoder(WireOptions(decode="csv", names=("id", "t"), text_keys=frozenset({"id"})))
        assert said(csv, "007,23.4") == {"id": "007", "t": 23.4}
        assert said(csv, "id,t") is None  # the sketch's own header
        assert said(csv, "on,off") == {"id": "on", "t": "off"}
        assert said(csv, "007,") == {"id": "007", "t": None}
        assert said(csv, "007,23.4,") == {"id": "007", "t": 23.4}  # a separator after each cell
        assert said(csv, "007") == "wrong_columns"
        assert said(csv, "007,23.4,5") == "wrong_columns"
        assert said(csv, '"a, b",1') == {"id": "a, b", "t": 1}

    def test_a_header_line(self) -> None:
        csv = decoder(WireOptions(decode="csv"))
        assert said(csv, "1,2") == {"value1": 1, "value2": 2}
        assert said(csv, "temp in,rel. humidity") is None
        assert said(csv, "1,2") == {"temp in": 1, "rel. humidity": 2}
        assert said(csv, "1,on,3") == {"value1": 1, "value2": "on", "value3": 3}
        csv.reset()
        assert said(csv, "1,2") == {"value1": 1, "value2": 2}

    def test_one_column_is_value(self) -> None:
        assert said(decoder(WireOptions(decode="csv")), "5") == {"value": 5}

    def test_tabs_keep_empty_cells_at_both_ends(self) -> None:
        csv = decoder(WireOptions(decode="csv", separator="\t", names=("a", "b", "c")))
        assert said(csv, "\t2\t\r") == {"a": None, "b": 2, "c": None}

    def test_nan_is_null_and_counted(self) -> None:
        csv = decoder(WireOptions(decode="csv"))
        assert said(csv, "nan,,inf,5") == {"value1": None, "value2": None, "value3": None, "value4": 5}
        assert csv.nulled == 2

    @pytest.mark.parametrize("line", ['"', '"a\n"b', '""",', ",,,", '"a"b,1'])
    def test_strange_quotes_raise_nothing(self, line: str) -> None:
        assert said(decoder(WireOptions(decode="csv")), line) is not None

    def test_a_line_end_between_cells_is_bad(self) -> None:
        assert said(decoder(WireOptions(decode="csv")), '"x",a\nb') == "not_csv"


class TestRegex:
    def test_named_groups_of_all_patterns_that_are_found(self) -> None:
        patterns = (
            r"T=(?P<t>[-\d.]+)",
            r"H=(?P<h>\d+)",
            r"id (?P<id>\d+)(?: is (?P<note>\w+))?",
            r"T=(?P<t>.)",
        )
        regex = decoder(WireOptions(decode="regex", regex=patterns, text_keys=frozenset({"id"})))
        assert said(regex, "id 0042 T=23.4 H=55") == {"id": "0042", "t": 23.4, "h": 55}
        assert said(regex, "H=7") == {"h": 7}
        assert said(regex, "id 1 is ok") == {"id": "1", "note": "ok"}
        assert said(regex, "hello") == "no_match"

    def test_a_pattern_without_names_takes_frames_in_silently(self) -> None:
        regex = decoder(WireOptions(decode="regex", regex=("T=(?P<t>.*)", "^DEBUG")))
        assert said(regex, "DEBUG: x") is None
        assert said(regex, "DEBUG: T=1") == {"t": 1}

    def test_an_empty_group_is_null(self) -> None:
        assert said(decoder(WireOptions(decode="regex", regex=("T=(?P<t>.*)",))), "T=") == {"t": None}


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("  as it is ", {"value": "  as it is "}),
        ("42", {"value": "42"}),
        ("", None),
        (b"caf\xe9", "not_utf8"),
        (b"a\0", "nul_byte"),
    ],
)
def test_text(frame: str | bytes, expected: Any) -> None:
    assert said(decoder(WireOptions(decode="text")), frame) == expected


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ('{"a":1}', {"a": 1}),
        ("[1,2]", {"value": [1, 2]}),
        ('"on"', {"value": "on"}),
        ("5", {"value": 5}),
        ("nan", {"value": None}),
        ("18446744073709551616", {"value": "18446744073709551616"}),
        ("[" * 9 + "]" * 9, "too_deep"),
        ("[" * 8 + "]" * 8, {"value": [[[[[[[[]]]]]]]]}),
        (" \r", None),
        ("", None),
        ("t:5", "not_json"),
    ],
)
def test_json(frame: str, expected: Any) -> None:
    assert said(decoder(WireOptions(decode="json")), frame) == expected
