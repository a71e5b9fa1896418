"""Opening: what is there, what is not, what is somebody else's, and what is not moved."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
import termios
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from serial.tools import list_ports

from serial2iot.errors import PortError
from serial2iot.port import serial_port
from serial2iot.port.options import DeviceMatch, PortOptions
from serial2iot.port.serial_port import SerialPort
from tests.unit.port.lines import Pty, held


def port_at(device: str | Path, **options: Any) -> SerialPort:
    return SerialPort(PortOptions("board", str(device), **options))


async def test_a_second_opener_is_told_who_the_first_is() -> None:
    with Pty() as pty:
        for name, hint in (
            ("picocom", "stop that program"),
            ("serial2iot", "systemctl stop serial2iot"),
            ("systemd", "--what=fdstore"),
        ):
            with held(pty.device, name, locked=True) as pid:
                with pytest.raises(PortError, match=rf"in use by {name} \(pid {pid}\)") as caught:
                    await port_at(pty.device).open()
                assert hint in caught.value.hint
        port = port_at(pty.device)
        assert await port.open() == pty.device
        with pytest.raises(PortError, match="in use"):
            await port_at(pty.device).open()
        port.close()


async def test_what_is_wrong_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PortError, match="not there"):
        await port_at(tmp_path / "ttyACM0").open()
    plain = tmp_path / "file"
    plain.touch()
    with pytest.raises(PortError, match="is no serial line"):
        await port_at(plain).open()
    for number, words in (
        (errno.EACCES, "no permission"),
        (errno.EBUSY, "in use by another program"),
        (errno.EIO, "no hardware behind it"),
        (errno.EMFILE, "Too many open files"),
    ):
        error = serial_port._open_error("/dev/ttyNONE", number)
        assert words in str(error)
        assert error.hint or number == errno.EMFILE


async def test_on_a_pty_in_which_nothing_lies_the_first_line_is_whole() -> None:
    with Pty() as pty:
        port = port_at(pty.device)
        await port.open()
        assert port.fresh
        pty.say(b"first\n")
        assert await port.read() == b"first\n"
        port.close()
        pty.say(b"old\n")
        await port.open()
        assert not port.fresh
        pty.say(b"new\n")
        assert await port.read() == b"new\n", "what is of unknown age is thrown away"
        port.close()


async def test_a_line_that_hangs_up_is_lost_and_a_silent_one_is_not() -> None:
    with Pty() as pty:
        port = port_at(pty.device)
        await port.open()
        assert await port.read(0.01) == b""
        pty.hang_up()
        with pytest.raises(PortError, match=r"hung up|unplugged"):
            await port.read()
        port.close()
        port.close()


async def test_what_a_cancelled_open_still_opens_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = asyncio.Event()
    loop = asyncio.get_running_loop()
    go = os.pipe()
    really = serial_port._open

    def slowly(device: str, options: PortOptions) -> tuple[int, bool]:
        loop.call_soon_threadsafe(opened.set)
        os.read(go[0], 1)
        return really(device, options)

    monkeypatch.setattr(serial_port, "_open", slowly)
    with Pty() as pty:
        opening = asyncio.create_task(port_at(pty.device).open())
        await opened.wait()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        os.write(go[1], b"!")
        await loop.shutdown_default_executor()
        await asyncio.sleep(0)
        for fd in go:
            os.close(fd)
    # the check around every test finds a descriptor that is left


# ---- modem lines


class ModemLines:
    """Stands in for a UART's, which a pty has not: remembers what moved them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.moved: list[tuple[str, int]] = []
        self._ioctl = fcntl.ioctl
        monkeypatch.setattr(serial_port.fcntl, "ioctl", self)

    def __call__(self, fd: int, request: int, *rest: Any) -> Any:
        names = {getattr(termios, name): name for name in ("TIOCMSET", "TIOCMBIS", "TIOCMBIC")}
        if request not in names:
            return self._ioctl(fd, request, *rest)
        self.moved.append((names[request], int.from_bytes(rest[0], "little")))
        return 0


@pytest.mark.parametrize("reset_on_open", [True, False])
async def test_opening_and_closing_move_no_modem_line(
    monkeypatch: pytest.MonkeyPatch, reset_on_open: bool
) -> None:
    lines = ModemLines(monkeypatch)
    with Pty() as pty:
        port = port_at(pty.device, reset_on_open=reset_on_open)
        await port.open()
        port.close()
    assert lines.moved == []


async def test_a_pulse_lets_dtr_fall_and_raises_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ModemLines(monkeypatch)
    monkeypatch.setattr(serial_port, "PULSE_S", 0.0)
    with Pty() as pty:
        port = port_at(pty.device)
        await port.open()
        assert await port.pulse_dtr()
        port.close()
    assert lines.moved == [("TIOCMBIC", termios.TIOCM_DTR), ("TIOCMBIS", termios.TIOCM_DTR)]


async def test_a_line_without_dtr_says_so() -> None:
    with Pty() as pty:
        port = port_at(pty.device)
        await port.open()
        assert not await port.pulse_dtr()
        port.close()


async def test_a_real_line_is_closed_to_programs_that_do_not_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    get_exclusive = 0x80045440  # TIOCGEXCL
    with Pty() as pty:
        port = port_at(pty.device)
        for majors, exclusive in ((serial_port.PTY_MAJORS, 0), (range(0), 1)):
            monkeypatch.setattr(serial_port, "PTY_MAJORS", majors)
            await port.open()
            assert port.fileno is not None
            assert fcntl.ioctl(port.fileno, get_exclusive, bytes(4))[0] == exclusive
            port.close()


# ---- by what it says of itself


def plug_in(
    monkeypatch: pytest.MonkeyPatch, *devices: tuple[str, int | None, int | None, str | None]
) -> None:
    infos = [
        SimpleNamespace(device=device, vid=vid, pid=pid, serial_number=serial)
        for device, vid, pid, serial in devices
    ]
    monkeypatch.setattr(list_ports, "comports", lambda: infos)


@pytest.mark.parametrize(
    ("match", "found"),
    [
        (DeviceMatch(vid=0x2341, pid=0x0043), "/dev/ttyACM1"),
        (DeviceMatch(vid=0x1A86), "/dev/ttyUSB0"),
        (DeviceMatch(serial="B"), "/dev/ttyACM2"),
        (DeviceMatch(vid=0x2341, serial="B"), "/dev/ttyACM2"),
        (DeviceMatch(vid=0x2341, serial="C"), None),
    ],
)
def test_a_match_is_all_that_it_says(
    monkeypatch: pytest.MonkeyPatch, match: DeviceMatch, found: str | None
) -> None:
    plug_in(
        monkeypatch,
        ("/dev/ttyAMA0", None, None, None),
        ("/dev/ttyUSB0", 0x1A86, 0x7523, None),
        ("/dev/ttyACM1", 0x2341, 0x0043, "A"),
        ("/dev/ttyACM2", 0x2341, 0x0043, "B"),
    )
    assert SerialPort(PortOptions("board", match=match)).find() == found


async def test_a_match_is_opened_wherever_it_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    port = SerialPort(PortOptions("board", match=DeviceMatch(vid=0x2341)))
    plug_in(monkeypatch)
    with pytest.raises(PortError, match="not there"):
        await port.open()
    for _ in range(2):
        with Pty() as pty:
            plug_in(monkeypatch, (pty.device, 0x2341, 0x0043, None))
            assert await port.open() == pty.device
            port.close()


def test_a_device_that_goes_while_it_is_looked_for_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def trip() -> list[object]:
        raise TypeError("int() can't convert non-string with explicit base")

    monkeypatch.setattr(list_ports, "comports", trip)
    assert SerialPort(PortOptions("board", match=DeviceMatch(vid=1))).find() is None


async def test_a_name_by_id_is_followed(tmp_path: Path) -> None:
    with Pty() as pty:
        name = tmp_path / "usb-Arduino_Uno-if00"
        name.symlink_to(pty.device)
        port = port_at(name)
        assert await port.open() == str(name)
        port.close()
    with pytest.raises(PortError, match="not there"):
        await port_at(name).open()


# ---- over the network


async def test_a_port_that_nobody_serves_is_said() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        number = bound.getsockname()[1]
        with pytest.raises(PortError, match=f"cannot connect to 127.0.0.1 port {number}"):
            await port_at(f"socket://127.0.0.1:{number}").open()
