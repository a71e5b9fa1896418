"""When a certificate is valid: the one fact that the standard library has and does not give out.

`ssl` tells the dates of a peer's certificate, after a handshake that an expired one does not survive. So the
few bytes in question are read here: DER (ITU-T X.690), laid out as RFC 5280, section 4.1, says:

    Certificate    = SEQUENCE { TBSCertificate, ... }
    TBSCertificate = SEQUENCE { [0] version OPTIONAL, serial, signature, issuer, Validity, ... }
    Validity       = SEQUENCE { notBefore Time, notAfter Time }
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

_SEQUENCE, _UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x30, 0x17, 0x18, 0xA0


class _Element(NamedTuple):
    tag: int
    body: bytes
    rest: bytes  # what follows it


def validity_of(der: bytes) -> tuple[datetime, datetime]:
    """`notBefore` and `notAfter`. Raises ValueError for what is not a certificate."""
    to_be_signed = _inside(_inside(der))
    first = _element(to_be_signed)
    rest = first.rest if first.tag == _VERSION else to_be_signed
    for _ in ("serial", "signature", "issuer"):
        rest = _element(rest).rest
    not_before = _element(_inside(rest))
    not_after = _element(not_before.rest)
    return _time(not_before), _time(not_after)


def _inside(data: bytes) -> bytes:
    element = _element(data)
    if element.tag != _SEQUENCE:
        raise ValueError("not a certificate")
    return element.body


def _element(data: bytes) -> _Element:
    """X.690, 8.1: a tag of one byte, a length of one byte or of as many as its low bits say, the body."""
    if len(data) < 2:
        raise ValueError("not a certificate")
    begin, length = 2, data[1]
    if length & 0x80:
        begin += length & 0x7F
        length = int.from_bytes(data[2:begin], "big")
    end = begin + length
    if end > len(data):
        raise ValueError("not a certificate")
    return _Element(data[0], data[begin:end], data[end:])


def _time(element: _Element) -> datetime:
    """RFC 5280, 4.1.2.5: always to the second, always Zulu; two digits of a year mean 1950 to 2049."""
    text = element.body.decode("ascii")
    if element.tag == _UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    elif element.tag != _GENERALIZED_TIME:
        raise ValueError("not a certificate")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
