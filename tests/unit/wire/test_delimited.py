"""Lines and other delimited frames."""

from __future__ import annotations

import tracemalloc

import pytest

from serial2iot.wire.delimited import DelimitedFramer
from serial2iot.wire.frame import FRESH_AFTER_S, HEAD_BYTES, BadFrame
from serial2iot.wire.framing import framer
from serial2iot.wire.options import WireOptions
from tests.unit.wire.wiring import framed


@pytest.mark.parametrize(
    ("line_end", "sent", "frames"),
    [
        ("lf", b"a\nb\r\nc", [b"a", b"b"]),
        ("lf", b"a\r\r\nb\rc\n", [b"a\r", b"b\rc"]),
        ("lf", b"\n\r\n\na\n", [b"a"]),  # empty lines are nothing
        ("crlf", b"a\nb\r\nc\rd\r\n", [b"a\nb", b"c\rd"]),
        ("cr", b"a\rb\n\rc", [b"a", b"b\n"]),
    ],
)
def test_line_ends(line_end: str, sent: bytes, frames: list[bytes]) -> None:
    lines = framer(WireOptions(line_end=line_end))  # type: ignore[arg-type]
    assert framed(lines, sent) == frames


def test_a_delimiter_may_be_cut_by_chunks() -> None:
    delimited = framer(WireOptions(framing="delimited", delimiter=b"-=-"))
    assert framed(delimited, b"on", b"e-", b"=", b"-two-=", b"-three") == [b"one", b"two"]


def test_a_line_of_ten_megabytes_is_one_bad_frame_and_takes_no_memory() -> None:
    lines = framer(WireOptions())
    chunk = b"x" * 65536
    tracemalloc.start()
    for _ in range(160):
        assert lines.feed(chunk, 0.0) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * len(chunk), "what is held while it grows"
    assert lines.unfinished == BadFrame("too_long", 160 * 65536, b"x" * HEAD_BYTES)
    assert framed(lines, b"\ngood\n") == [("too_long", 160 * 65536), b"good"]


def test_the_limit_is_of_the_line_without_its_end() -> None:
    lines = DelimitedFramer(b"\n", 4, drop_cr=True)
    assert framed(lines, b"abcd\r\nabcde\n") == [b"abcd", ("too_long", 5)]
    assert framed(lines, *(bytes([each]) for each in b"abcd\r\nabcde\n")) == [b"abcd", ("too_long", 5)]


class TestAfterOpen:
    """The first bytes after the port was opened may be the end of a line."""

    def lines(self) -> DelimitedFramer:
        lines = DelimitedFramer(b"\n", 100, drop_cr=True)
        assert lines.reset(partial=True, now=0.0) is None
        return lines

    def test_the_first_line_is_thrown_away_and_counted(self) -> None:
        assert framed(self.lines(), b"3.4}\n23.4\n") == [("partial", 4), b"23.4"]

    def test_also_in_pieces(self) -> None:
        assert framed(self.lines(), b"3.", b"4}", b"\r\n23", b".4\n") == [("partial", 4), b"23.4"]

    def test_nothing_is_lost_where_the_port_was_opened_between_two_lines(self) -> None:
        assert framed(self.lines(), b"\n23.4\n") == [b"23.4"]

    def test_a_line_that_begins_after_a_silence_is_whole(self) -> None:
        lines = self.lines()
        assert lines.feed(b"3.4", now=0.1) == []
        # The board restarts now, silently for a second, and then says what it is.
        frames = lines.feed(b"t,h\n", now=0.1 + FRESH_AFTER_S)
        assert frames == [BadFrame("partial", 3, b"3.4"), b"t,h"]

    def test_a_partial_line_that_is_too_long_is_partial(self) -> None:
        assert framed(self.lines(), b"x" * 500, b"\nok\n") == [("partial", 500), b"ok"]

    def test_the_caller_may_know_better(self) -> None:
        lines = DelimitedFramer(b"\n", 100)
        lines.reset(partial=False, now=0.0)
        assert framed(lines, b"23.4\n") == [b"23.4"]

    def test_what_a_lost_port_left_unfinished_is_given(self) -> None:
        lines = DelimitedFramer(b"\n", 100)
        assert framed(lines, b'{"t":2') == []
        assert lines.reset(partial=False, now=1.0) == BadFrame("cut_off", 6, b'{"t":2')
        assert lines.unfinished is None
        assert framed(lines, b"1\n") == [b"1"]
