"""A recording comes back as it was, and what is none is refused where it is wrong."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial2iot.errors import PortError
from serial2iot.port.recording import Chunk, Event, Recorder, read

BEGAN = datetime(2026, 11, 23, 4, 12, 7, tzinfo=UTC)


@given(st.lists(st.binary(min_size=1, max_size=64)))
def test_any_bytes_come_back(tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]) -> None:
    file = io.StringIO()
    recorder = Recorder(file, "/dev/ttyACM0", 115_200, BEGAN)
    recorder.opened(0.0, fresh=True)
    for number, data in enumerate(chunks):
        recorder.chunk(number / 8, data)
    recorder.lost(99.0)
    path = tmp_path_factory.mktemp("recordings") / "r.jsonl"
    path.write_text(file.getvalue())
    assert list(read(path)) == [
        Event(0.0, "open", True),
        *(Chunk(number / 8, data) for number, data in enumerate(chunks)),
        Event(99.0, "lost"),
    ]
    assert file.getvalue().isascii()


def test_the_format_is_the_one_that_is_documented() -> None:
    file = io.StringIO()
    recorder = Recorder(file, "/dev/ttyACM0", 115_200, BEGAN)
    recorder.chunk(0.104, b'{"t":23.4}\r\n\xff')
    assert file.getvalue().splitlines() == [
        '{"recording": 1, "device": "/dev/ttyACM0", "baud": 115200, "began": "2026-11-23T04:12:07+00:00"}',
        '{"at": 0.104, "bytes": "{\\"t\\":23.4}\\r\\n\\u00ff"}',
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("hello\n", 1),
        ('{"recording": 2}\n', 1),
        ('{"recording": 1}\n{"at": 0, "bytes": "\\u0100"}\n', 2),
        ('{"recording": 1}\n{"at": 0, "event": "burnt"}\n', 2),
        ('{"recording": 1}\n[]\n', 2),
        ('{"recording": 1}\n{"at": 0, "bytes": "' + "x" * (1 << 21) + '"}\n', 2),
    ],
)
def test_what_is_none_is_refused_where_it_is_wrong(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(text)
    with pytest.raises(PortError, match=f"line {line}:"):
        list(read(path))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PortError, match="cannot be read"):
        list(read(tmp_path / "none"))
