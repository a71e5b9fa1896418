"""What the kernel is told about a line, and that what it made of it is looked at."""

from __future__ import annotations

import termios as t
from typing import Any

import pytest

from serial2iot.errors import PortError
from serial2iot.port import line_mode
from serial2iot.port.line_mode import BOTHER, CBAUD, CMSPAR, LineMode
from serial2iot.port.options import PortOptions
from serial2iot.port.serial_port import SerialPort
from tests.unit.port.lines import Pty

COOKED = LineMode(
    0o2400 | t.ISTRIP, t.OPOST, t.B38400 | t.CS8 | t.CREAD, t.ICANON | t.ECHO, 0, bytes(19), 38_400, 38_400
)


def made(**options: Any) -> LineMode:
    return line_mode.wanted(COOKED, PortOptions("board", "/dev/x", **options))


@pytest.mark.parametrize(
    ("bits", "parity", "stop", "flags"),
    [
        (8, "none", 1, t.CS8),
        (7, "even", 1, t.CS7 | t.PARENB),
        (8, "odd", 2, t.CS8 | t.PARENB | t.PARODD | t.CSTOPB),
        (5, "mark", 1, t.CS5 | t.PARENB | t.PARODD | CMSPAR),
        (6, "space", 2, t.CS6 | t.PARENB | CMSPAR | t.CSTOPB),
    ],
)
def test_the_character(bits: int, parity: str, stop: int, flags: int) -> None:
    cflag = made(data_bits=bits, parity=parity, stop_bits=stop).cflag
    assert cflag & (t.CSIZE | t.PARENB | t.PARODD | CMSPAR | t.CSTOPB) == flags


def test_a_byte_with_wrong_parity_is_not_taken_for_good() -> None:
    assert made(parity="even").iflag & (t.INPCK | t.IGNPAR | t.PARMRK) == t.INPCK
    assert not made().iflag & t.INPCK


def test_raw_whatever_it_was_before() -> None:
    mode = made()
    assert not mode.lflag & (t.ICANON | t.ECHO | t.ISIG)
    assert not mode.iflag & (t.ICRNL | t.ISTRIP | t.IXON)
    assert not mode.oflag & t.OPOST
    assert mode.cflag & t.CLOCAL


@pytest.mark.parametrize("baud", [300, 9600, 115_200, 250_000, 74_880, 3_000_000])
async def test_any_speed_is_set_and_read_back(baud: int) -> None:
    with Pty() as pty:
        port = SerialPort(PortOptions("board", pty.device, baud=baud))
        await port.open()
        assert port.fileno is not None
        mode = line_mode.read(port.fileno)
        assert (mode.ispeed, mode.ospeed) == (baud, baud)
        code = getattr(t, f"B{baud}", None)
        assert mode.cflag & CBAUD == (BOTHER if code is None else code)
        port.close()


@pytest.mark.parametrize(
    ("options", "at", "flags", "set_"),
    [
        ({"flow_control": "rtscts"}, 2, t.CRTSCTS, t.CRTSCTS),
        ({"flow_control": "xonxoff"}, 0, t.IXON | t.IXOFF, t.IXON | t.IXOFF),
        ({}, 0, t.IXON | t.IXOFF, 0),
        ({}, 2, t.CRTSCTS | t.CSTOPB, 0),
        ({"stop_bits": 2}, 2, t.CSTOPB, t.CSTOPB),
        ({"reset_on_open": True}, 2, t.HUPCL, t.HUPCL),
        ({"reset_on_open": False}, 2, t.HUPCL, 0),
    ],
)
async def test_the_kernel_has_it(options: dict[str, Any], at: int, flags: int, set_: int) -> None:
    with Pty() as pty:
        port = SerialPort(PortOptions("board", pty.device, **options))
        await port.open()
        assert port.fileno is not None
        assert t.tcgetattr(port.fileno)[at] & flags == set_
        port.close()


async def test_a_speed_that_silently_became_another_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with Pty() as pty:
        read = line_mode.read
        # What the FTDI driver does with a divisor it cannot do (ftdi_sio.c, get_ftdi_divisor).
        monkeypatch.setattr(line_mode, "read", lambda fd: read(fd)._replace(ospeed=9600))
        with pytest.raises(PortError, match="does not do 250000 baud; it would run at 9600") as caught:
            await SerialPort(PortOptions("board", pty.device, baud=250_000)).open()
        assert "serial.baud" in caught.value.hint


async def test_the_nearest_speed_that_a_divisor_gives_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    with Pty() as pty:
        read = line_mode.read
        monkeypatch.setattr(line_mode, "read", lambda fd: read(fd)._replace(ospeed=115_384))
        port = SerialPort(PortOptions("board", pty.device, baud=115_200))
        await port.open()
        port.close()


def test_a_speed_has_two_spellings() -> None:
    by_code = COOKED._replace(cflag=t.B115200, ospeed=115_200)
    by_number = COOKED._replace(cflag=BOTHER, ospeed=115_200)
    assert by_code.same_as(by_number)
    assert not by_code.same_as(by_number._replace(ospeed=9600))
