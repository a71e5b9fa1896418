"""What is said reaches the terminal, the journal or a file, reads well there, and never stops the daemon."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import pty
import re
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
import structlog

from serial2iot.host import logs
from serial2iot.host.logs import LogOptions, configure

DEBUG = LogOptions(level="debug")

log = structlog.get_logger()  # as in every module: made before anything is configured


@pytest.fixture(autouse=True)
def back_to_normal() -> Iterator[None]:
    level = logging.getLogger().level
    yield
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, logs._FromLogging)]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    structlog.reset_defaults()


def say_something() -> None:
    log.warning(
        "port_lost",
        port="arduino",
        device="/dev/ttyACM0",
        reason="the device is gone",
        hint="is it plugged in?",
        open_s=12.5,
    )


def fail(why: str) -> None:
    raise ValueError(why)


# Any stream --------------------------------------------------------------------------------------------------


def test_a_fact_is_a_line_with_date_and_level() -> None:
    stream = io.StringIO()
    configure(DEBUG, stream=stream)
    say_something()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d warning arduino: port lost: the device is gone"
        r" \(device=/dev/ttyACM0 open_s=12.5\) -> is it plugged in\?\n",
        stream.getvalue(),
    )


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "link up"),
        (
            {"endpoint": "a b", "n": 3, "down_s": None, "clean": True},
            'link up (endpoint="a b" n=3 clean=true)',
        ),
        ({"parts": ["reader", "spool"]}, 'link up (parts="reader, spool")'),
        ({"path": Path("/a"), "empty": "", "hint": ""}, 'link up (path=/a empty="")'),
        ({"reason": "a\nb\x1b[31m\x9b", "port": "\x07"}, "\\x07: link up: a\\nb\\x1b[31m\\x9b"),
        ({"name": "caf\udce9"}, "link up (name=caf\\udce9)"),
        ({"said": 'no "x"\t'}, 'link up (said="no \\"x\\"\\t")'),
    ],
)
def test_fields_become_words_that_are_safe_to_print(fields: dict[str, object], line: str) -> None:
    stream = io.StringIO()
    configure(DEBUG, stream=stream)
    log.info("link_up", **fields)
    assert stream.getvalue().partition(" info ")[2] == line + "\n"


def test_only_the_chosen_level_and_above_is_said_and_it_can_be_changed() -> None:
    stream = io.StringIO()
    for level, said in (("debug", 4), ("info", 3), ("warning", 2), ("error", 1)):
        stream.truncate(0)
        configure(LogOptions(level=level), stream=stream)  # type: ignore[arg-type]
        log.debug("one")
        log.info("two")
        log.warning("three")
        log.error("four")
        logging.getLogger("asyncio").debug("nothing that is not wanted either")
        assert stream.getvalue().count("\n") == said + (level == "debug")


def test_an_exception_is_an_error_with_its_traceback() -> None:
    stream = io.StringIO()
    configure(LogOptions(level="error"), stream=stream)
    try:
        fail("bad\x1b[0m")
    except ValueError as error:
        log.exception("part_failed", part="spool")
        log.error("part_failed", exc_info=error)  # noqa: TRY400
    text = stream.getvalue()
    assert " error part failed (part=spool)\nTraceback (most recent call last):\n" in text
    assert text.count("ValueError: bad\\x1b[0m\n") == 2
    assert "\x1b" not in text


async def test_what_asyncio_says_comes_the_same_way() -> None:
    stream = io.StringIO()
    configure(DEBUG, stream=stream)
    asyncio.get_running_loop().call_exception_handler(
        {"message": "Task was lost", "exception": OSError("why")}
    )
    logging.getLogger("some.library").warning("%s of %s", 1, 2)
    text = stream.getvalue()
    assert " error asyncio: Task was lost\nOSError: why\n" in text
    assert " warning some.library: 1 of 2\n" in text


def test_configuring_twice_does_not_say_things_twice() -> None:
    stream = io.StringIO()
    configure(DEBUG, stream=stream)
    configure(DEBUG, stream=stream)
    logging.getLogger("asyncio").warning("once")
    log.warning("once")
    assert stream.getvalue().count("once") == 2


def test_a_reader_that_went_away_does_not_stop_the_daemon() -> None:
    reading, writing = os.pipe()
    stream = os.fdopen(writing, "w")
    configure(DEBUG, stream=stream)
    os.close(reading)
    say_something()
    say_something()
    with pytest.raises(BrokenPipeError):  # so it was broken indeed
        stream.close()
    say_something()  # closed now


# A terminal --------------------------------------------------------------------------------------------------


def test_on_a_terminal_it_is_coloured_and_the_hint_has_a_line_of_its_own() -> None:
    ours, its = pty.openpty()
    try:
        with os.fdopen(its, "w") as stream:
            configure(DEBUG, stream=stream)
            say_something()
            log.info("link_up", port="a\x1b]0;title\x07")
            text = ""
            while "link up" not in text:
                text += os.read(ours, 4096).decode()
    finally:
        os.close(ours)
    assert "\x1b[33mwarning" in text
    assert "\\x1b]0;title\\x07: link up" in text
    plain = re.sub(r"\x1b\[\d+m", "", text).splitlines()
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d warning  arduino: port lost: the device is gone  device=/dev/ttyACM0 open_s=12.5",
        plain[0],
    )
    assert plain[1] == " " * 18 + "is it plugged in?"
    assert ": link up" in plain[2]


# The journal -------------------------------------------------------------------------------------------------


class Journald:
    """Stands in for journald: its datagram socket, and the stream that JOURNAL_STREAM names as leading to it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "socket"
        self.file = folder / "stream"
        self.stream: TextIO = self.file.open("w")
        self.open()

    def open(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(self.path))

    def close(self) -> None:
        self._socket.close()
        self.path.unlink()

    def entry(self) -> list[tuple[str, str]]:
        """The next entry, as journald would read it; systemd's "Journal Native Protocol"."""
        data, passed, _, _ = socket.recv_fds(self._socket, 1 << 20, 1)
        for descriptor in passed:
            with os.fdopen(descriptor, "rb") as memory:
                memory.seek(0)
                data = memory.read()
        fields = []
        while data:
            line, _, data = data.partition(b"\n")
            name, equals, value = line.partition(b"=")
            if not equals:
                (size,) = struct.unpack_from("<Q", data)
                value, data = data[8 : 8 + size], data[8 + size + 1 :]
            fields.append((name.decode(), value.decode()))
        return fields


@pytest.fixture
def journald(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journald]:
    journald = Journald(tmp_path)
    status = os.fstat(journald.stream.fileno())
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    yield journald
    journald.close()
    journald.stream.close()


def test_the_journal_gets_fields(journald: Journald) -> None:
    configure(DEBUG, stream=journald.stream, journal_socket=journald.path)
    say_something()
    assert dict(journald.entry()) == {
        "MESSAGE": "arduino: port lost: the device is gone (device=/dev/ttyACM0 open_s=12.5) -> is it plugged in?",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "serial2iot",
        "EVENT": "port_lost",
        "PORT": "arduino",
        "DEVICE": "/dev/ttyACM0",
        "REASON": "the device is gone",
        "HINT": "is it plugged in?",
        "OPEN_S": "12.5",
    }
    assert journald.file.read_text() == "", "and the stream gets nothing, or everything would be there twice"


@pytest.mark.parametrize(
    ("level", "priority"), [("debug", "7"), ("info", "6"), ("warning", "4"), ("error", "3")]
)
def test_priorities(journald: Journald, level: str, priority: str) -> None:
    configure(DEBUG, stream=journald.stream, journal_socket=journald.path)
    getattr(log, level)("link_up")
    assert dict(journald.entry())["PRIORITY"] == priority


def test_fields_that_the_journal_would_not_take_as_they_are(journald: Journald) -> None:
    configure(DEBUG, stream=journald.stream, journal_socket=journald.path)
    log.info(
        "link_up",
        parts=["reader", "spool"],
        nothing=None,
        bad="caf\udce9",
        two="lines\nPRIORITY=0",
        message="mine",
        _private=1,
        höhe=1,
    )
    entry = journald.entry()
    assert ("PARTS", "reader") in entry
    assert ("PARTS", "spool") in entry
    assert ("BAD", "caf\\udce9") in entry
    assert ("TWO", "lines\\nPRIORITY=0") in entry
    names = [name for name, _ in entry]
    assert names == ["MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "EVENT", "PARTS", "PARTS", "BAD", "TWO"]


def test_a_traceback_is_part_of_the_message(journald: Journald) -> None:
    configure(DEBUG, stream=journald.stream, journal_socket=journald.path)
    try:
        fail("bad")
    except ValueError:
        log.exception("part_failed")
    entry = dict(journald.entry())
    assert entry["MESSAGE"].startswith("part failed\nTraceback (most recent call last):\n")
    assert entry["MESSAGE"].endswith("ValueError: bad")
    assert entry["PRIORITY"] == "3"


def test_an_entry_that_is_too_large_for_a_datagram_arrives(journald: Journald) -> None:
    configure(DEBUG, stream=journald.stream, journal_socket=journald.path)
    log.info("link_up", text="x" * 1_000_000)
    assert len(dict(journald.entry())["TEXT"]) == 1_000_000


def test_what_asyncio_says_is_in_the_journal_too(journald: Journald) -> None:
    configure(DEBUG, stream=journald.stream, journal_socket=journald.path)
    logging.getLogger("asyncio").error("Task was lost")
    entry = dict(journald.entry())
    assert (entry["MESSAGE"], entry["EVENT"], entry["PRIORITY"]) == ("asyncio: Task was lost", "asyncio", "3")


def test_without_its_socket_lines_go_to_the_stream_until_it_is_back(journald: Journald) -> None:
    configure(DEBUG, stream=journald.stream, journal_socket=journald.path)
    journald.close()
    log.warning("port_lost", port="arduino")
    try:
        fail("bad")
    except ValueError:
        log.exception("part_failed")
    lines = journald.file.read_text().splitlines()
    assert lines[0] == "<4>arduino: port lost"
    assert lines[1] == "<3>part failed"
    assert lines[-1] == "<3>ValueError: bad"
    journald.open()
    log.info("port_open")
    assert dict(journald.entry())["EVENT"] == "port_open"


def test_a_journald_that_hangs_holds_nothing_up_for_long_and_is_told_what_it_missed(
    journald: Journald,
) -> None:
    configure(DEBUG, stream=journald.stream, journal_socket=journald.path)
    began = time.monotonic()
    said = 0
    while time.monotonic() - began < 0.3:  # until one line had to wait
        said += 1
        log.info("link_up", number=said)
        assert said < 10_000
    assert time.monotonic() - began < 3
    seen = []
    with pytest.raises(BlockingIOError):
        while True:
            seen.append(dict(journald.entry()))
    log.info("link_up", number="last")
    assert dict(journald.entry())["NUMBER"] == "last"
    dropped = dict(journald.entry())
    assert (dropped["EVENT"], dropped["LINES"]) == ("log_lines_dropped", str(said - len(seen)))
    assert journald.file.read_text() == ""


def test_only_a_stream_that_leads_to_the_journal_is_replaced_by_it(
    journald: Journald, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = io.StringIO()
    configure(DEBUG, stream=other, journal_socket=journald.path)
    say_something()
    assert "arduino: port lost" in other.getvalue()
    for wrong in ("", "1:2", "nonsense"):
        monkeypatch.setenv("JOURNAL_STREAM", wrong)
        configure(DEBUG, stream=journald.stream, journal_socket=journald.path)
        say_something()
    assert journald.file.read_text().count("arduino: port lost") == 3
    with pytest.raises(BlockingIOError):
        journald.entry()
