"""Certificate, private key and root CA: judged before a connection is tried, with the standard library alone.

AWS answers each of these mistakes by closing the connection without a word, so they are told apart here. What
is in the files is never shown.

The clock has no part in these checks, because a Raspberry Pi starts without one: that a certificate is expired or
not valid yet is a fact about now, which `Validity` tells, and which time may mend.
"""

from __future__ import annotations

import os
import pwd
import re
import ssl
import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from serial2iot.cloud.x509 import validity_of
from serial2iot.errors import CredentialError

EXPIRES_SOON = timedelta(days=30)
LARGEST_BYTES = 1 << 20  # a bundle of all root CAs in the world has 200 kB

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_PRIVATE_KEY = re.compile(r"-----BEGIN ((?:RSA |EC |ENCRYPTED )?PRIVATE KEY)-----")
_MISFIT = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})
"""How OpenSSL says that the key is another's; the last where one is RSA and the other EC."""

_OF_OTHERS = 0o007
"""Mode bits that no key may have. The group may read it: the daemon's user is in a group that may read what
root owns, so that it cannot change its own key."""


@dataclass(frozen=True, slots=True)
class Validity:
    """When the device certificate is valid."""

    certificate: Path
    not_before: datetime
    not_after: datetime

    def problem(self, now: datetime) -> CredentialError | None:
        """What is wrong with the certificate at this moment, or with this moment."""
        if now < self.not_before:
            what = f"{self.certificate} is not valid before {_day(self.not_before)}, and it is {_day(now)}"
            hint = (
                "The clock is wrong (timedatectl), or the certificate was made on a machine whose clock was."
            )
        elif now > self.not_after:
            what = f"{self.certificate} expired on {_day(self.not_after)}, and it is {_day(now)}"
            hint = "Make a new certificate in AWS IoT and attach its policy; or the clock is wrong (timedatectl)."
        else:
            return None
        return CredentialError(what, key="mqtt.certificate", hint=hint)

    def warning(self, now: datetime) -> str:
        """A sentence from 30 days before the end on, and while the certificate is not valid; else empty."""
        if problem := self.problem(now):
            return f"{problem}. {problem.hint}"
        left = self.not_after - now
        if left > EXPIRES_SOON:
            return ""
        return f"{self.certificate} expires on {_day(self.not_after)}, in {left.days} days: make a new one in time."


def validity(certificate: Path) -> Validity:
    """From when until when a certificate that passes its check is valid."""
    pem = _CERTIFICATE.search(_read(certificate))
    try:
        return Validity(certificate, *validity_of(ssl.PEM_cert_to_DER_cert(pem[0] if pem else "")))
    except ValueError:
        raise _not_pem(certificate, "certificate") from None


def check_certificate(path: Path) -> None:
    """Raise CredentialError unless we can read one certificate or more there: the device's, or a root CA's."""
    text = _read(path)
    found = _CERTIFICATE.findall(text)
    if not found:
        raise _not_pem(path, "certificate", text)
    try:
        ssl.create_default_context(cadata="\n".join(found))
        for pem in found:
            validity_of(ssl.PEM_cert_to_DER_cert(pem))
    except (ssl.SSLError, ValueError):
        raise CredentialError(
            f"{path} is damaged: what stands between its BEGIN and END is no certificate",
            hint=f"Copy it again; then see openssl x509 -noout -text -in {path}",
        ) from None


def check_private_key(path: Path) -> None:
    """Raise CredentialError unless we can read a private key there, and no stranger can."""
    text = _read(path)
    found = _PRIVATE_KEY.search(text)
    if not found:
        raise _not_pem(path, "private key", text)
    if path.stat().st_mode & _OF_OTHERS:
        raise CredentialError(
            f"{path} is open to every user of this machine", hint=f"Run: sudo chmod 600 {path}"
        )
    if "ENCRYPTED" in found[1] or "Proc-Type: 4,ENCRYPTED" in text:
        raise CredentialError(
            f"{path} is protected by a passphrase, and nobody is there to type it",
            hint=f"Write one without: openssl pkey -in {path} -out NEW, then chmod 600 NEW",
        )


def check_pair(certificate: Path, private_key: Path) -> None:
    """Raise CredentialError unless the key is that of the certificate. Both have passed their own checks."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, private_key, password="")
    except ssl.SSLError as error:
        if error.reason in _MISFIT:
            raise CredentialError(
                f"{private_key} is not the key of {certificate}",
                hint="Both come from one step in AWS IoT: look for the two files with the same id in their names.",
            ) from None
        raise CredentialError(
            f"OpenSSL cannot use {private_key} with {certificate} ({error.reason})",
            hint=f"Copy both again; then see openssl pkey -noout -in {private_key}",
        ) from None


def _read(path: Path) -> str:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_BYTES:
            raise CredentialError(f"{path} is no file with a certificate or key")
        return path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        raise CredentialError(
            f"there is no file {path}",
            hint="AWS IoT gives it out once, when the certificate is made; Amazon's root CA is at"
            " https://www.amazontrust.com/repository/AmazonRootCA1.pem",
        ) from None
    except OSError as error:
        hint = _let_in(path) if isinstance(error, PermissionError) else ""
        raise CredentialError(f"{path} cannot be read by {_me()}: {error.strerror}", hint=hint) from None


def _let_in(path: Path) -> str:
    """The command that lets us read a file, or that shows which folder on the way to it is closed."""
    if os.access(path.parent, os.X_OK, effective_ids=True):
        return f"Run: sudo chown {_me()} {path} && sudo chmod 600 {path}"
    return f"A folder on the way is closed; see which: namei -l {path}"


def _me() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"user {os.geteuid()}"


def _not_pem(path: Path, wanted: str, text: str = "") -> CredentialError:
    if wanted == "certificate" and _PRIVATE_KEY.search(text):
        what, hint = (
            "holds a private key, not a certificate",
            "Are mqtt.certificate and mqtt.private_key swapped?",
        )
    elif wanted == "private key" and _CERTIFICATE.search(text):
        what, hint = (
            "holds a certificate, not a private key",
            "Are mqtt.certificate and mqtt.private_key swapped?",
        )
    else:
        tool = "x509" if wanted == "certificate" else "pkey"
        what = f"holds no {wanted} in PEM form (-----BEGIN {wanted.upper()}-----)"
        hint = f"If it is in DER form: openssl {tool} -inform der -in {path} -out {path}.pem"
    return CredentialError(f"{path} {what}", hint=hint)


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
