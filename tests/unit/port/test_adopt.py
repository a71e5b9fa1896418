"""A line that is kept open over a restart: nothing is lost, and no line is cut."""

from __future__ import annotations

import os
import socket
import termios

import pytest

from serial2iot.errors import PortError
from serial2iot.port import line_mode
from serial2iot.port.options import PortOptions
from serial2iot.port.serial_port import SerialPort
from serial2iot.wire.options import LengthOptions, WireOptions
from tests.unit.port.lines import Pty, Taken, reader, reading, until

WHOLE = [b'{"n":1}', b'{"n":2}', b'{"n":3}', b'{"n":4}', b'{"n":5}']


@pytest.mark.parametrize("cut", range(1, 17))
async def test_a_line_that_a_restart_cuts_is_whole_again(cut: int) -> None:
    said = b'{"n":2}\n{"n":3}\n'
    taken = Taken()
    with Pty() as pty:
        first = reader(pty.device, taken)
        async with reading(first):
            await until(lambda: first.device)
            pty.say(b'{"n":1}\n' + said[:cut])
            await until(lambda: first.counts.bytes == 8 + cut)
            assert first.fileno is not None
            kept = os.dup(first.fileno)  # as systemd does
        unfinished = first.unfinished()
        pty.say(said[cut:] + b'{"n":4}\n')  # while nobody runs

        second = reader(pty.device, taken)
        second.adopt(kept, unfinished)
        async with reading(second):
            pty.say(b'{"n":5}\n')
            await until(lambda: len(taken) == 5)
        assert taken.bodies == WHOLE
        assert not first.counts.bad_frames
        assert not second.counts.bad_frames
        assert first.counts.bytes + second.counts.bytes == 5 * 8, "each byte is counted once"


async def test_a_binary_frame_that_a_restart_cuts_is_whole_again() -> None:
    wire = WireOptions(framing="length", length=LengthOptions(width_bytes=1), start=b"\x42", decode="text")
    taken = Taken()
    with Pty() as pty:
        first = reader(pty.device, taken, wire)
        async with reading(first):
            await until(lambda: first.device)
            pty.say(b"\x42\x03ab")
            await until(lambda: first.counts.bytes == 4)
            assert first.fileno is not None
            kept = os.dup(first.fileno)
        second = reader(pty.device, taken, wire)
        second.adopt(kept, first.unfinished())
        async with reading(second):
            pty.say(b"c")
            await until(lambda: taken)
        assert b"abc" in taken.bodies[0]


async def test_a_frame_that_was_being_thrown_away_stays_thrown_away() -> None:
    taken = Taken()
    wire = WireOptions(max_frame_bytes=16)
    with Pty() as pty:
        first = reader(pty.device, taken, wire)
        async with reading(first):
            await until(lambda: first.device)
            pty.say(b"9" * 40)
            await until(lambda: first.counts.bytes == 40)
            assert first.fileno is not None
            kept = os.dup(first.fileno)
        assert first.unfinished() is None
        second = reader(pty.device, taken, wire)
        second.adopt(kept, first.unfinished())
        async with reading(second):
            pty.say(b"12\n7\n")
            await until(lambda: taken)
        assert taken.bodies == [b'{"value":7}'], "12 is the end of a long line, not a number"
        assert second.counts.bad_frames == {"partial": 1}


async def test_only_an_open_line_has_something_unfinished() -> None:
    taken = Taken()
    with Pty() as pty:
        one = reader(pty.device, taken)
        assert one.unfinished() is None
        assert one.fileno is None
        async with reading(one):
            await until(lambda: one.device)
            assert one.unfinished() == b""
            pty.say(b"12")
            await until(lambda: one.unfinished() == b"12")
            pty.hang_up()
            await until(lambda: one.device is None)
            assert one.unfinished() is None
            assert one.counts.bad_frames == {"cut_off": 1}, "counted as soon as it can never be whole"


async def test_adopting_changes_nothing_and_loses_nothing() -> None:
    with Pty() as pty:
        options = PortOptions("board", pty.device, baud=250_000, flow_control="xonxoff")
        first = SerialPort(options)
        await first.open()
        assert first.fileno is not None
        kept = os.dup(first.fileno)
        first.close()
        before = line_mode.read(kept)
        pty.say(b"said meanwhile")
        second = SerialPort(options)
        assert second.adopt(kept) == pty.device
        assert line_mode.read(kept) == before
        assert await second.read() == b"said meanwhile"
        second.close()


async def test_what_the_options_changed_is_applied_to_what_was_kept() -> None:
    with Pty() as pty:
        kept = os.open(pty.device, os.O_RDWR | os.O_NOCTTY)
        port = SerialPort(PortOptions("board", pty.device, baud=57_600, stop_bits=2))
        port.adopt(kept)
        assert termios.tcgetattr(kept)[5] == termios.B57600
        assert termios.tcgetattr(kept)[2] & termios.CSTOPB
        port.close()


async def test_what_was_kept_and_died_is_refused_and_closed() -> None:
    pty = Pty()
    port = SerialPort(PortOptions("board", pty.device))
    kept = os.open(pty.device, os.O_RDWR | os.O_NOCTTY)
    pty.hang_up()
    with pytest.raises(PortError):
        port.adopt(kept)
    assert not port.is_open
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(kept)


async def test_what_was_kept_and_is_another_device_is_refused() -> None:
    with Pty() as pty, Pty() as other:
        kept = os.open(other.device, os.O_RDWR | os.O_NOCTTY)
        with pytest.raises(PortError, match="is not"):
            SerialPort(PortOptions("board", pty.device)).adopt(kept)


async def test_a_connection_is_kept_too() -> None:
    ours, theirs = socket.socketpair()
    port = SerialPort(PortOptions("board", "socket://127.0.0.1:4000"))
    port.adopt(ours.detach())
    theirs.send(b"12\n")
    assert await port.read() == b"12\n"
    theirs.close()
    with pytest.raises(PortError, match="hung up"):
        await port.read()
    port.close()
