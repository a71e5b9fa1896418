"""One serial line: opened, taken over, read in large chunks through the event loop, and found to be gone.

A device is a path, a USB device by what it says of itself, or `socket://host:port`. Rules:

1. Opening moves no modem line: the kernel raises DTR and RTS by itself, and pulses are asked for by name.
2. A line has one reader: it is locked (flock(2)) against programs that lock, and closed to the others
   (TIOCEXCL, ioctl_tty(2)) but for root's. Not on a pty, which would stay closed to its next opener.
3. What lay in the line before it was opened is of unknown age and thrown away; on a pty in which nothing lay,
   what comes first is whole (`fresh`).
4. A device that was pulled out shows as EIO, as ENXIO, or as a descriptor that is readable and has nothing.
5. `adopt` changes nothing on a line that is as it should be: no flush, no lock let go, no byte lost.

Descriptors and ioctls are our own: pyserial flushes and moves DTR at each open, takes a speed without reading
it back, and cannot take over a descriptor. It is asked what is plugged in (`plugged`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import select
import stat
import termios
from pathlib import Path

from serial2iot.errors import PortError
from serial2iot.port import line_mode, network, plugged
from serial2iot.port.holders import holders, lockers
from serial2iot.port.options import PortOptions

CHUNK = 65_536  # bytes; the kernel's tty buffer gives at most 4095 at a time, a socket more
QUIET_S = 5.0  # a read on a silent line returns after this, so that its reader comes round
PULSE_S = 0.25  # DTR low for so long resets an Arduino, as its IDE does before an upload

PTY_MAJORS = range(136, 144)  # Unix98 pty slaves (Documentation/admin-guide/devices.txt)
_TO_FREE = {
    "serial2iot": "stop the daemon for as long: sudo systemctl stop serial2iot",
    "systemd": "it keeps the daemon's open lines: sudo systemctl clean --what=fdstore serial2iot",
}
_DTR = termios.TIOCM_DTR.to_bytes(4, "little")


class SerialPort:
    """A line that may be open or not."""

    def __init__(self, options: PortOptions) -> None:
        self._options = options
        self._fd = -1
        self.fresh = False  # nothing can have been said before it was opened: what comes first is whole

    @property
    def is_open(self) -> bool:
        """Whether there is a line to read."""
        return self._fd >= 0

    @property
    def fileno(self) -> int | None:
        """The descriptor of the open line, to be kept over a restart (see `adopt`)."""
        return self._fd if self.is_open else None

    def find(self) -> str | None:
        """Where the device is now, or None while it is not plugged in. Costs one stat, or a look at sysfs."""
        device, match = self._options.device, self._options.match
        if device is not None:
            return device if device.startswith(network.SCHEME) or Path(device).exists() else None
        assert match is not None
        return plugged.find(match)

    async def open(self) -> str:
        """Open the device and say where it was found. Raises PortError with what to do about it."""
        device = self.find()
        if device is None:
            raise PortError("the device is not there", hint=f"plug it in; looked for {self._wanted()}")
        if device.startswith(network.SCHEME):
            self._fd = await network.connect(device)
            self.fresh = False
        else:
            await self._open_tty(device)
        return device

    def adopt(self, fd: int) -> str:
        """Take over a descriptor of this device that is open already, and say where the device is.

        It is ours from here on, also when this fails. Raises PortError when the line is gone, when it is another
        device's, or when it cannot be made what the options want.
        """
        try:
            os.set_blocking(fd, False)
            os.set_inheritable(fd, False)
            device = self._adopted(fd)
        except OSError as error:
            _close(fd)
            raise PortError(f"what was kept open is no longer of use: {error.strerror}") from error
        except BaseException:
            _close(fd)
            raise
        self._fd, self.fresh = fd, False
        return device

    def close(self) -> None:
        """Let go of the device. Safe to call at any time."""
        if self.is_open:
            asyncio.get_running_loop().remove_reader(self._fd)
            if self._options.flow_control != "none":
                # What the other end does not let us send would hold up the close for 30 s (closing_wait).
                with contextlib.suppress(OSError, termios.error):
                    termios.tcflush(self._fd, termios.TCOFLUSH)
            _close(self._fd)
            self._fd = -1

    async def read(self, quiet_s: float | None = None) -> bytes:
        """Wait for bytes; empty after `quiet_s` of silence (never more than QUIET_S). Raises PortError when lost."""
        quiet_s = QUIET_S if quiet_s is None else max(0.0, min(quiet_s, QUIET_S))
        while await self._readable(quiet_s):
            try:
                chunk = os.read(self._fd, CHUNK)
            except BlockingIOError:
                continue
            except OSError as error:
                raise PortError(_lost_reason(error)) from error
            if not chunk:
                raise PortError("the device hung up")
            return chunk
        return b""

    async def pulse_dtr(self) -> bool:
        """Reset the board, if the line has a DTR; whether it has. Raises PortError when it is lost."""
        try:
            fcntl.ioctl(self._fd, termios.TIOCMBIC, _DTR)
            await asyncio.sleep(PULSE_S)
            fcntl.ioctl(self._fd, termios.TIOCMBIS, _DTR)
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.EINVAL, errno.EOPNOTSUPP):
                return False
            raise PortError(_lost_reason(error)) from error
        return True

    async def _readable(self, quiet_s: float) -> bool:
        loop = asyncio.get_running_loop()
        readable: asyncio.Future[bool] = loop.create_future()
        loop.add_reader(self._fd, _resolve, readable, True)
        quiet = loop.call_later(quiet_s, _resolve, readable, False)
        try:
            return await readable
        finally:
            quiet.cancel()
            if self.is_open:
                loop.remove_reader(self._fd)

    async def _open_tty(self, device: str) -> None:
        # A USB device may take its time. What a cancelled open still opens is closed when it comes.
        opening = asyncio.ensure_future(asyncio.to_thread(_open, device, self._options))
        try:
            self._fd, self.fresh = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_opened)
            raise

    def _adopted(self, fd: int) -> str:
        device = self.find()
        if device is None:
            raise PortError("the device of what was kept open is not there")
        gone = select.poll()
        gone.register(fd, 0)
        if gone.poll(0):  # only POLLHUP, POLLERR and POLLNVAL are told unasked
            raise PortError("what was kept open hung up meanwhile")
        if device.startswith(network.SCHEME):
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                raise PortError(f"what was kept open is not a connection to {device}")
            return device
        if os.fstat(fd).st_rdev != Path(device).stat().st_rdev:
            raise PortError(f"what was kept open is not {device}")
        _claim(fd, device)
        line_mode.apply(fd, self._options)
        return device

    def _wanted(self) -> str:
        if self._options.device is not None:
            return self._options.device
        return f"a USB device with {self._options.match}"


def _open(device: str, options: PortOptions) -> tuple[int, bool]:
    """The descriptor, and whether nothing can have been said before. Raises PortError."""
    fd = -1
    try:
        fd = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        _claim(fd, device)
        line_mode.apply(fd, options)
        fresh = _is_pty(fd) and not _has_input(fd)
        if not fresh:
            termios.tcflush(fd, termios.TCIFLUSH)
    except (OSError, termios.error) as error:
        _close(fd)
        raise _open_error(device, error.args[0]) from error
    except BaseException:
        _close(fd)
        raise
    return fd, fresh


def _claim(fd: int, device: str) -> None:
    """Nobody else may read it. Raises PortError when somebody does."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _in_use(device) from error
    if not _is_pty(fd):
        fcntl.ioctl(fd, termios.TIOCEXCL)


def _is_pty(fd: int) -> bool:
    return os.major(os.fstat(fd).st_rdev) in PTY_MAJORS


def _has_input(fd: int) -> bool:
    """Asked by poll(), which first carries over what the kernel still holds; FIONREAD does not."""
    unread = select.poll()
    unread.register(fd, select.POLLIN)
    return bool(unread.poll(0))


def _close(fd: int) -> None:
    if fd >= 0:
        with contextlib.suppress(OSError):
            os.close(fd)


def _close_opened(opening: asyncio.Future[tuple[int, bool]]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        _close(opening.result()[0])


def _resolve(future: asyncio.Future[bool], result: bool) -> None:
    if not future.done():
        future.set_result(result)


def _lost_reason(error: OSError) -> str:
    unplugged = error.errno in (errno.EIO, errno.ENXIO, errno.ENODEV)
    return "the device was unplugged" if unplugged else f"reading failed: {error.strerror}"


def _in_use(device: str) -> PortError:
    seen = lockers(device) or holders(device)
    if not seen:
        return PortError(f"{device} is in use by another program", hint="see who: sudo serial2iot ports")
    hints = [_TO_FREE[holder.name] for holder in seen if holder.name in _TO_FREE]
    hint = hints[0] if hints else "stop that program: a line has one reader"
    return PortError(f"{device} is in use by {', '.join(map(str, seen))}", hint=hint)


def _open_error(device: str, number: int) -> PortError:
    match number:
        case errno.EACCES | errno.EPERM:
            who = "add the daemon's user to the group dialout, or install the udev rule"
            return PortError(f"no permission to open {device}", hint=who)
        case errno.EBUSY:
            return _in_use(device)
        case errno.ENOTTY:
            return PortError(f"{device} is no serial line", hint="see what is plugged in: serial2iot ports")
        case errno.EIO | errno.ENXIO | errno.ENODEV:
            hint = "see what is plugged in: serial2iot ports"
            return PortError(f"{device} has no hardware behind it", hint=hint)
    return PortError(f"{device} cannot be opened: {os.strerror(number)}")
