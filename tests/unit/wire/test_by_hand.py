"""What a person types becomes a reading."""

import pytest

from serial2iot.errors import Serial2IotError
from serial2iot.wire.by_hand import LONGEST, reading_by_hand


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('{"t": 23.4}', {"t": 23.4}),
        ("t=23.4 h=55", {"t": 23.4, "h": 55}),
        ("t:23.4,h:55", {"t": 23.4, "h": 55}),
        ("23.4", {"value": 23.4}),
        ("1,2", {"value1": 1, "value2": 2}),
        ("Hello World", {"value": "Hello World"}),
        ("door open!", {"value": "door open!"}),
        ("[1,2]", {"value": "[1,2]"}),
    ],
)
def test_it_is_read_as_a_line_and_else_as_text(text: str, values: dict[str, object]) -> None:
    assert reading_by_hand(text)[0] == values


@pytest.mark.parametrize("text", ["", "  ", '{"t": ', "x" * (LONGEST + 1)])
def test_what_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(Serial2IotError) as refused:
        reading_by_hand(text)
    assert refused.value.hint
