"""`decode = "auto"`: what sketches print, line by line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from serial2iot.wire.auto import AutoDecoder
from serial2iot.wire.frame import BadFrame
from serial2iot.wire.scalars import encode


def said(decoder: AutoDecoder, line: str | bytes) -> Any:
    """The values as a consumer gets them, or the reason, or None."""
    outcome = decoder.decode(line.encode() if isinstance(line, str) else line)
    if isinstance(outcome, BadFrame):
        return outcome.reason
    return None if outcome is None else json.loads(encode(outcome))


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ('{"t":23.4,"h":55}', {"t": 23.4, "h": 55}),
        (' {"t":23.4} \r', {"t": 23.4}),
        ('\ufeff{"t":23.4}', {"t": 23.4}),
        ('{"a":{"b":[1,"x",null,true]}}', {"a": {"b": [1, "x", None, True]}}),
        # Arduino Serial Plotter
        ("t:23.4,h:55", {"t": 23.4, "h": 55}),
        ("t:23.4 h:55", {"t": 23.4, "h": 55}),
        ("Value:377\tAVG5:431.01", {"Value": 377, "AVG5": 431.01}),
        ("Label 1:10\tLabel 2:-11", {"Label 1": 10, "Label 2": -11}),
        ("Temperature: 23.40, Humidity: 55.00", {"Temperature": 23.4, "Humidity": 55.0}),
        ("3V3:3.31 18B20:21.5", {"3V3": 3.31, "18B20": 21.5}),
        ("t:23.4 17 h:55", {"t": 23.4, "value2": 17, "h": 55}),
        ("température:21 °C:3", {"température": 21, "°C": 3}),
        # key=value
        ("t=23.4 h=55", {"t": 23.4, "h": 55}),
        ("t=23.4,mode=auto;door=open", {"t": 23.4, "mode": "auto", "door": "open"}),
        ('msg="hello world" n=1', {"msg": "hello world", "n": 1}),
        ("sensor = 199\t output = 49", {"sensor": 199, "output": 49}),  # the stock AnalogInOutSerial
        # CSV and numbers
        ("23.4,55", {"value1": 23.4, "value2": 55}),
        ("23.4, 55", {"value1": 23.4, "value2": 55}),
        ("23.4\t55\t", {"value1": 23.4, "value2": 55}),
        ("23.4;55", {"value1": 23.4, "value2": 55}),
        ("1 2  3", {"value1": 1, "value2": 2, "value3": 3}),
        ("1,,3", {"value1": 1, "value2": None, "value3": 3}),
        ("42", {"value": 42}),
        ("+.5", {"value": 0.5}),
        ("-1.5e-3", {"value": -0.0015}),
        ("007", {"value": 7}),
        # nothing
        ("", None),
        (" \r", None),
        ("{}", {}),  # which the pipeline takes for no reading
        # text
        ("Hello!", "not_understood"),
        ("DHTxx test!", "not_understood"),
        ("Failed to read from DHT sensor!", "not_understood"),
        ("Humidity: 55.00 %  Temperature: 23.40 °C", "not_understood"),
        ("12in, 34cm", "not_understood"),  # the stock Ping
        ("!, dec: 33, hex: 21, oct: 41, bin: 100001", "not_understood"),  # the stock ASCIITable
        ("12:05:09", "not_understood"),
        ("2024-11-23 12:05", "not_understood"),
        ("10/5/2024 12:05", "not_understood"),
        ("--- setup ---", "not_understood"),
        ("=== setup ===", "not_understood"),
        ("if (a == 5) b = 6", "not_understood"),
        ("http://192.168.1.5/?a=b", "not_understood"),
        ("E (123) wifi: failed, reason=201", "not_understood"),
        ("0x1F", "not_understood"),
        ("1_000", "not_understood"),
        ("٤٢", "not_understood"),  # digits, but not those of a sketch
        ("[1,2]", "not_understood"),
        ('"text"', "not_understood"),
        ("true", "not_understood"),
        ('{"t":23.4', "not_json"),
        ("{t:23.4}", "not_json"),
        ('{"t":23.4}{"t":23.5}', "not_json"),
        (b"\xffgarbage", "not_utf8"),
        (b'{"\xff":1}', "not_utf8"),
        (b"1\x002", "nul_byte"),
        (b'{"a":1}\x00', "not_json"),
    ],
)
def test_a_line_by_itself(line: str | bytes, values: Any) -> None:
    assert said(AutoDecoder(), line) == values


def test_lines_of_different_kinds_do_not_mislead_each_other() -> None:
    decoder = AutoDecoder()
    mixed = ["Booting", "t,h", "23.4,55", '{"t":1}', "23.5,56", "t:2", "7", "x=1", "23.6,57", "1,2,3"]
    assert [said(decoder, line) for line in mixed] == [
        "not_understood",
        None,
        {"t": 23.4, "h": 55},
        {"t": 1},
        {"t": 23.5, "h": 56},
        {"t": 2},
        {"value": 7},
        {"x": 1},
        {"t": 23.6, "h": 57},
        {"value1": 1, "value2": 2, "value3": 3},
    ]


class TestHeaders:
    """Names that are sent once."""

    def test_labels_with_colons_hold(self) -> None:
        decoder = AutoDecoder()
        assert said(decoder, "t:\th:") is None
        assert said(decoder, "debug") == "not_understood"
        assert said(decoder, "23.4\t55") == {"t": 23.4, "h": 55}
        assert said(decoder, "a:\tb:") is None
        assert said(decoder, "23.4\t55") == {"a": 23.4, "b": 55}

    @pytest.mark.parametrize(
        "header", ["t,h", "t, h", "t;h", "t\th", "Temp\tRel. humidity [%]", "t_in(°C),h/%"]
    )
    def test_a_header_names_the_columns(self, header: str) -> None:
        decoder = AutoDecoder()
        assert said(decoder, header) is None
        first = said(decoder, "23.4,55")
        assert list(first.values()) == [23.4, 55]
        assert "value1" not in first

    @pytest.mark.parametrize("between", ["ready", "1,2,3", "5", "t:5"])
    def test_words_that_no_columns_follow_name_nothing(self, between: str) -> None:
        decoder = AutoDecoder()
        assert said(decoder, "Hello, world") is None
        said(decoder, between)
        assert said(decoder, "1,2") == {"value1": 1, "value2": 2}

    def test_a_board_that_restarts_says_its_header_again(self) -> None:
        decoder = AutoDecoder()
        lines = ["t,h", "1,2", "t,h", "3,4"]
        assert [said(decoder, line) for line in lines] == [None, {"t": 1, "h": 2}, None, {"t": 3, "h": 4}]

    def test_after_a_reset_there_may_be_another_board(self) -> None:
        decoder = AutoDecoder()
        for line in ("t,h", "1,2"):
            said(decoder, line)
        decoder.reset()
        assert said(decoder, "1,2") == {"value1": 1, "value2": 2}

    def test_configured_names_win(self) -> None:
        decoder = AutoDecoder(names=("t", "h"))
        assert said(decoder, "a,b") is None
        assert said(decoder, "23.4,55") == {"t": 23.4, "h": 55}
        assert said(decoder, "23.4,5523.5,56") == "wrong_columns"
        assert said(decoder, "x:1") == {"x": 1}


@pytest.mark.parametrize(
    ("line", "values", "nulled"),
    [
        ('{"t":nan,"h":55}', {"t": None, "h": 55}, 1),
        ('{"t":NaN,"u":-inf,"v":Infinity,"w":ovf}', {"t": None, "u": None, "v": None, "w": None}, 4),
        ('{"t":1e999,"u":-1e999}', {"t": None, "u": None}, 2),
        ('{"t":[nan,{"u":nan}]}', {"t": [None, {"u": None}]}, 2),
        ('{"nan":"nan","s":"1e999 \\" inf"}', {"nan": "nan", "s": '1e999 " inf'}, 0),
        ('{"nan":"nan","t":nan}', {"nan": "nan", "t": None}, 1),
        ("t:nan,h:55", {"t": None, "h": 55}, 1),
        ("t=inf", {"t": None}, 1),
        ("nan,,ovf", {"value1": None, "value2": None, "value3": None}, 2),
        ("-Infinity", {"value": None}, 1),
        ("1e999", {"value": None}, 1),
        # integers beyond 64 bits keep their digits, as text
        ('{"id":9223372036854775807}', {"id": 9223372036854775807}, 0),
        ('{"id":9223372036854775808}', {"id": "9223372036854775808"}, 0),
        ('{"id":-9223372036854775808}', {"id": -9223372036854775808}, 0),
        ('{"id":-9223372036854775809}', {"id": "-9223372036854775809"}, 0),
        ('{"a":[18446744073709551615]}', {"a": ["18446744073709551615"]}, 0),
        ("18446744073709551615", {"value": "18446744073709551615"}, 0),
        ("+000000000000000000000000005", {"value": 5}, 0),
        ("9" * 400 + ".5", {"value": None}, 1),
        # repeated keys: the last
        ('{"a":1,"a":2}', {"a": 2}, 0),
        ("a=1 a=2", {"a": 2}, 0),
    ],
)
def test_numbers_that_json_or_its_readers_cannot_hold(line: str, values: Any, nulled: int) -> None:
    decoder = AutoDecoder()
    assert said(decoder, line) == values
    assert decoder.nulled == nulled


def test_what_is_refused_after_all_nulls_nothing() -> None:
    decoder = AutoDecoder()
    assert said(decoder, '{"t":nan,"h":}') == "not_json"
    assert said(decoder, "t:nan,h:x") == "not_understood"
    assert said(decoder, "nan,x") == "not_understood"
    assert said(decoder, "t=nan h") == "not_understood"
    assert decoder.nulled == 0


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"a":' * 9 + "1" + "}" * 9, "too_deep"),
        ('{"a":' + "[" * 8 + "1" + "]" * 8 + "}", "too_deep"),
        ('{"a":' + "[" * 2000 + "]" * 2000 + "}", "too_deep"),
        ('{"a":"\\ud800"}', "not_json"),
        ('{"a":"\\ud800\\u0041"}', "not_json"),
        ('{"a":"tab\tinside"}', "not_json"),
    ],
)
def test_json_that_is_refused(line: str, reason: str) -> None:
    assert said(AutoDecoder(), line) == reason


def test_eight_levels_are_taken_and_escapes_kept() -> None:
    deep = '{"a":' * 8 + "1" + "}" * 8
    assert said(AutoDecoder(), deep) == json.loads(deep)
    assert said(AutoDecoder(), '{"a":"\\u0000\\ud83d\\ude00é"}') == {"a": "\0😀é"}


def test_very_many_keys_are_taken() -> None:
    many = {f"k{number}": number for number in range(10_000)}
    assert said(AutoDecoder(), json.dumps(many)) == many
