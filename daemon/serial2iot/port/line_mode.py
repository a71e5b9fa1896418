"""How a tty works: speed, character, flow control. Options to the kernel's termios2, and back to what it made of them.

termios2 rather than termios, because in it a speed is a number: 250000 baud is set as 9600 is, and can be read
back (ioctl_tty(2), TCGETS2; include/uapi/asm-generic/termbits.h, which x86, arm and arm64 share).

Rules: raw, nothing echoed, nothing translated; modem lines ignored (CLOCAL); nothing is written to the line's
settings where they are right already, because some drivers stutter at each write.
"""

from __future__ import annotations

import errno
import fcntl
import struct
import termios as t
from typing import NamedTuple

from serial2iot.errors import PortError
from serial2iot.port.options import PortOptions

TCGETS2, TCSETS2 = 0x802C542A, 0x402C542B
BOTHER = 0o010000  # the speed is the number in c_ospeed
CBAUD = 0o010017
CMSPAR = 0o10000000000  # with PARODD: mark, without: space
CIBAUD = CBAUD << 16
TOLERANCE = 0.02  # of the speed: a UART loses bytes where the two ends differ by more than about 4 % together

_LAYOUT = struct.Struct("@4IB19s2I")
_BITS = {5: t.CS5, 6: t.CS6, 7: t.CS7, 8: t.CS8}
_PARITY = {
    "none": 0,
    "even": t.PARENB,
    "odd": t.PARENB | t.PARODD,
    "mark": t.PARENB | t.PARODD | CMSPAR,
    "space": t.PARENB | CMSPAR,
}
_TRANSLATES = t.IGNBRK | t.BRKINT | t.IGNPAR | t.PARMRK | t.INPCK | t.ISTRIP | t.INLCR | t.IGNCR | t.ICRNL
_PAUSES = t.IXON | t.IXOFF | t.IXANY
_COOKED = t.ICANON | t.ECHO | t.ECHOE | t.ECHOK | t.ECHONL | t.ISIG | t.IEXTEN
_CHARACTER = t.CSIZE | t.PARENB | t.PARODD | CMSPAR | t.CSTOPB | t.CRTSCTS | t.HUPCL


class LineMode(NamedTuple):
    """struct termios2."""

    iflag: int
    oflag: int
    cflag: int
    lflag: int
    discipline: int
    cc: bytes
    ispeed: int
    ospeed: int

    def same_as(self, other: LineMode) -> bool:
        """Whether both mean the same: a speed has two spellings, its code and its number."""
        return self._spelt() == other._spelt()

    def _spelt(self) -> LineMode:
        return self._replace(cflag=self.cflag & ~(CBAUD | CIBAUD))


def wanted(now: LineMode, options: PortOptions) -> LineMode:
    """What `now` becomes under these options."""
    iflag = now.iflag & ~(_TRANSLATES | _PAUSES)
    if options.parity != "none":
        iflag |= t.INPCK  # a byte whose parity is wrong is read as NUL, and spoils its frame
    if options.flow_control == "xonxoff":
        iflag |= t.IXON | t.IXOFF
    cflag = now.cflag & ~(_CHARACTER | CBAUD | CIBAUD)
    cflag |= t.CREAD | t.CLOCAL | _code(options.baud) | _BITS[options.data_bits] | _PARITY[options.parity]
    if options.stop_bits == 2:
        cflag |= t.CSTOPB
    if options.flow_control == "rtscts":
        cflag |= t.CRTSCTS
    if options.reset_on_open:
        cflag |= t.HUPCL  # the last close lets DTR fall, and the next open, which raises it, resets the board
    cc = bytearray(now.cc)
    cc[t.VMIN], cc[t.VTIME] = 1, 0  # so that only a line that hung up reads as empty
    return LineMode(
        iflag,
        now.oflag & ~t.OPOST,
        cflag,
        now.lflag & ~_COOKED,
        now.discipline,
        bytes(cc),
        options.baud,
        options.baud,
    )


def apply(fd: int, options: PortOptions) -> None:
    """Make a tty work so, and see whether it does.

    Raises PortError where the device does not do that speed: drivers silently take another. OSError: it is gone,
    or no tty (ENOTTY).
    """
    now = read(fd)
    mode = wanted(now, options)
    if not mode.same_as(now):
        try:
            fcntl.ioctl(fd, TCSETS2, _LAYOUT.pack(*mode))
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            raise _refused(options.baud, 0) from error
    speed = read(fd).ospeed
    if abs(speed - options.baud) > TOLERANCE * options.baud:
        raise _refused(options.baud, speed)


def read(fd: int) -> LineMode:
    """How a tty works now. Raises OSError."""
    raw = fcntl.ioctl(fd, TCGETS2, bytes(_LAYOUT.size))
    return LineMode(*_LAYOUT.unpack(raw))


def _code(baud: int) -> int:
    """Of the speeds that POSIX names, its code: other programs (stty) know no number."""
    code: int = getattr(t, f"B{baud}", BOTHER)
    return code


def _refused(baud: int, speed: int) -> PortError:
    instead = f"; it would run at {speed}" if speed else ""
    return PortError(
        f"the device does not do {baud} baud{instead}",
        hint="set serial.baud to a speed that both the device and its adapter do",
    )
