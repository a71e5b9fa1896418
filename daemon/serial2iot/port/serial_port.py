"""One serial line: the only module that knows pyserial.

Opens a device (a path, a USB device by what it says of itself, or `socket://host:port`), reads it in large
chunks through the event loop, and tells a line that is gone from one that is silent.

A pyserial port does not block on Linux, so `os.read` on its descriptor is all that reading takes. A device
that was pulled out shows as EIO, as ENXIO, or as a descriptor that is readable for ever and has nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import sys
import termios
from pathlib import Path

import serial
from serial.tools import list_ports

from serial2iot.errors import PortError
from serial2iot.port.options import PortOptions

CHUNK = 65_536  # bytes; the kernel's tty buffer gives at most 4095 at a time, a socket more
EMPTY_READS = 3  # a single empty read can follow a flush; this many in a row are a hang-up
QUIET_S = 5.0  # a read on a silent line returns after this, so that its reader comes round

PTY_MAJORS = range(136, 144)  # Unix98 pty slaves (Documentation/admin-guide/devices.txt)

_PARITY = {
    "none": serial.PARITY_NONE,
    "even": serial.PARITY_EVEN,
    "odd": serial.PARITY_ODD,
    "mark": serial.PARITY_MARK,
    "space": serial.PARITY_SPACE,
}


class SerialPort:
    """A line that may be open or not. `read` and `write` raise PortError when it is lost."""

    def __init__(self, options: PortOptions) -> None:
        self._options = options
        self._serial: serial.SerialBase | None = None
        self._fd = -1
        self.fresh = False  # nothing can have been said before it was opened: what comes first is whole

    @property
    def is_open(self) -> bool:
        """Whether there is a line to read."""
        return self._serial is not None

    def find(self) -> str | None:
        """Where the device is now, or None while it is not plugged in. Costs one stat, or a look at sysfs."""
        device, match = self._options.device, self._options.match
        if device is not None:
            return device if "://" in device or Path(device).exists() else None
        assert match is not None
        wanted = {"vid": match.vid, "pid": match.pid, "serial_number": match.serial}
        for info in list_ports.comports():
            if all(value is None or getattr(info, name) == value for name, value in wanted.items()):
                return str(info.device)
        return None

    async def open(self) -> str:
        """Open the device and say where it was found. Raises PortError with what to do about it."""
        device = self.find()
        if device is None:
            raise PortError("the device is not there", hint=f"plug it in; looked for {self._wanted()}")
        self.fresh = _idle_pty(device)
        # A USB device may take its time, and a socket its connection.
        opened = await asyncio.to_thread(self._open, device)
        self._serial, self._fd = opened, opened.fileno()
        os.set_blocking(self._fd, False)
        return device

    def close(self) -> None:
        """Let go of the device. Safe to call at any time."""
        if self._serial is not None:
            asyncio.get_running_loop().remove_reader(self._fd)
            with contextlib.suppress(OSError, serial.SerialException):  # it may be gone already
                self._serial.close()
            self._serial, self._fd = None, -1

    async def read(self, within_s: float | None = None) -> bytes:
        """What has arrived, as soon as there is something; empty if the line is silent for so long.

        `within_s` is `QUIET_S` at most. Raises PortError when the line is lost.
        """
        quiet_s = QUIET_S if within_s is None else min(max(within_s, 0.0), QUIET_S)
        for _ in range(EMPTY_READS):
            if not await self._readable(quiet_s):
                return b""
            try:
                chunk = os.read(self._fd, CHUNK)
            except BlockingIOError:
                continue
            except OSError as error:
                raise PortError(_lost_reason(error)) from error
            if chunk:
                return chunk
        raise PortError("the device hung up")

    async def _readable(self, quiet_s: float) -> bool:
        loop = asyncio.get_running_loop()
        readable: asyncio.Future[bool] = loop.create_future()
        loop.add_reader(self._fd, _resolve, readable, True)
        quiet = loop.call_later(quiet_s, _resolve, readable, False)
        try:
            return await readable
        finally:
            quiet.cancel()
            if self._fd >= 0:
                loop.remove_reader(self._fd)

    def _open(self, device: str) -> serial.SerialBase:
        options = self._options
        try:
            return serial.serial_for_url(
                device,
                baudrate=options.baud,
                bytesize=options.data_bits,
                parity=_PARITY[options.parity],
                stopbits=options.stop_bits,
                rtscts=options.flow_control == "rtscts",
                xonxoff=options.flow_control == "xonxoff",
                timeout=0,
                **({} if "://" in device else {"exclusive": True}),
            )
        except (OSError, ValueError, serial.SerialException) as error:
            raise _open_error(device, options.baud, error) from error

    def _wanted(self) -> str:
        if self._options.device is not None:
            return self._options.device
        return f"a USB device with {self._options.match}"


def _idle_pty(device: str) -> bool:
    """Whether a device is a pseudo terminal in which nothing waits to be read, which opening would discard.

    A real line may be in the middle of anything when it is opened, and opening it to look would move its DTR.
    """
    try:
        if os.major(Path(device).stat().st_rdev) not in PTY_MAJORS:
            return False
        fd = os.open(device, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        waiting = bytearray(4)
        fcntl.ioctl(fd, termios.FIONREAD, waiting)
        return int.from_bytes(waiting, sys.byteorder) == 0
    finally:
        os.close(fd)


def _resolve(future: asyncio.Future[bool], result: bool) -> None:
    if not future.done():
        future.set_result(result)


def _lost_reason(error: OSError) -> str:
    unplugged = error.errno in (errno.EIO, errno.ENXIO, errno.ENODEV)
    return "the device was unplugged" if unplugged else f"reading failed: {error.strerror}"


def _open_error(device: str, baud: int, error: Exception) -> PortError:
    number = getattr(error, "errno", None)
    if isinstance(error, ValueError):
        return PortError(f"{device} does not do {baud} baud", hint="set serial.baud to what the device does")
    if number == errno.EACCES:
        who = "add the daemon's user to the group dialout, or install the udev rule"
        return PortError(f"no permission to open {device}", hint=who)
    if number in (errno.EAGAIN, errno.EBUSY) or "exclusively lock" in str(error):
        return PortError(f"{device} is in use by another program", hint=f"see who: sudo fuser -v {device}")
    return PortError(f"{device} cannot be opened: {error}", hint="")
