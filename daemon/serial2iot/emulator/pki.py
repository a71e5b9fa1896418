"""Certificates for the cloud on this machine: one authority, one server, any number of devices.

The layout is AWS's, as far as AWS has one:

    DIR/AmazonRootCA1.pem                   what a device trusts
    DIR/authority/private.pem.key           what signs
    DIR/server/server.pem.crt  private.pem.key
    DIR/certs/<thing>/device.pem.crt  private.pem.key

Rules:

1. A private key is 0600 from the moment it exists.
2. What is there and good is used again. What is missing, damaged, out of its time, signed by another
   authority, or does not fit its key is made anew; so a new authority makes everything new.
3. The common name of a device's certificate is its thing. (AWS writes "AWS IoT Certificate" there and knows
   the thing from its registry, which this cloud does not have.)
"""

from __future__ import annotations

import ipaddress
import os
import re
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from serial2iot.errors import EmulatorError

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Role: TypeAlias = Literal["server", "device"]

AUTHORITY_LASTS = timedelta(days=3650)
CERTIFICATE_LASTS = timedelta(days=365)
NEAR_ITS_END = timedelta(days=1)  # so that nothing expires while it is in use
CLOCK_SKEW = timedelta(hours=1)  # certificates are valid a little before they were made

# AWS allows 128 of these characters in a thing's name; a common name holds 64 (RFC 5280, appendix A.1).
_THING = re.compile(r"[A-Za-z0-9:_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a TLS peer needs, as files."""

    certificate: Path
    private_key: Path
    root_ca: Path


class Authority:
    """Signs. Made by `open`, which finds or makes the authority of a directory."""

    def __init__(self, directory: Path, certificate: x509.Certificate, key: PrivateKey) -> None:
        self.directory = directory
        self.root_ca = _root_ca(directory)
        self._certificate = certificate
        self._key = key

    @classmethod
    def open(cls, directory: Path, now: datetime) -> Authority:
        """Find the authority in `directory` or make it. Raises OSError where the directory cannot be used."""
        certificate_file, key_file = _root_ca(directory), directory / "authority" / "private.pem.key"
        pair = _read_pair(certificate_file, key_file)
        if pair is None or not _good(*pair, issuer=pair[0], now=now):
            pair = _make_authority(now)
            _write_pair(certificate_file, key_file, *pair)
        return cls(directory, *pair)

    def server(self, now: datetime) -> Credentials:
        """Credentials of a server that is reached as localhost, 127.0.0.1 or ::1."""
        return self._find_or_issue(self.directory / "server", "server", "localhost", now)

    def device(self, thing: str, now: datetime) -> Credentials:
        """Credentials of the device `thing`. Raises EmulatorError where AWS would not take the name."""
        if not _THING.fullmatch(thing):
            raise EmulatorError(
                f"{thing!r} cannot be the name of a thing",
                hint="use 1 to 64 letters, digits, colons, underscores and hyphens",
            )
        return self._find_or_issue(self.directory / "certs" / thing, "device", thing, now)

    def _find_or_issue(self, folder: Path, role: Role, common_name: str, now: datetime) -> Credentials:
        files = self._files(folder, role)
        pair = _read_pair(files.certificate, files.private_key)
        if pair is None or not _good(*pair, issuer=self._certificate, now=now):
            return self.issue(folder, role, common_name, now)
        return files

    def issue(
        self,
        folder: Path,
        role: Role,
        common_name: str,
        now: datetime,
        *,
        lasts: timedelta = CERTIFICATE_LASTS,
        key_type: Literal["ec", "rsa"] = "ec",
    ) -> Credentials:
        """Make a key and a certificate in `folder`, over whatever is there."""
        files = self._files(folder, role)
        key = _make_key(key_type)
        unsigned = _describe(common_name, self._certificate.subject, key, now, lasts)
        for extension, critical in _leaf_extensions(role, key, self._key):
            unsigned = unsigned.add_extension(extension, critical)
        certificate = unsigned.sign(self._key, hashes.SHA256())
        _write_pair(files.certificate, files.private_key, certificate, key)
        return files

    def _files(self, folder: Path, role: Role) -> Credentials:
        return Credentials(folder / f"{role}.pem.crt", folder / "private.pem.key", self.root_ca)


def thing_of(certificate: bytes) -> str | None:
    """Return the thing that a certificate (DER) belongs to."""
    names = x509.load_der_x509_certificate(certificate).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else None


def expired_device(authority: Authority, thing: str, now: datetime) -> Credentials:
    """Return a device's credentials whose time was over yesterday."""
    folder = authority.directory / "faulty" / "expired" / thing
    return authority.issue(
        folder, "device", thing, now - timedelta(days=30), lasts=timedelta(days=29) - CLOCK_SKEW
    )


def stranger_device(authority: Authority, thing: str, now: datetime) -> Credentials:
    """Return a device's credentials signed by another authority; `root_ca` is still the right one."""
    stranger = Authority.open(authority.directory / "faulty" / "stranger", now)
    files = stranger.device(thing, now)
    return Credentials(files.certificate, files.private_key, authority.root_ca)


def misfit_device(authority: Authority, thing: str, now: datetime) -> Credentials:
    """Return a device's good certificate beside the key of another."""
    other = authority.issue(authority.directory / "faulty" / "misfit" / thing, "device", thing, now)
    return Credentials(authority.device(thing, now).certificate, other.private_key, authority.root_ca)


def rsa_device(authority: Authority, thing: str, now: datetime) -> Credentials:
    """Return a device's good credentials with an RSA key of 2048 bits, which is what AWS makes."""
    return authority.issue(authority.directory / "rsa" / thing, "device", thing, now, key_type="rsa")


def _root_ca(directory: Path) -> Path:
    return directory / "AmazonRootCA1.pem"


def _make_key(key_type: Literal["ec", "rsa"]) -> PrivateKey:
    if key_type == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def _make_authority(now: datetime) -> tuple[x509.Certificate, PrivateKey]:
    key = _make_key("ec")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "serial2iot emulator")])
    unsigned = _describe("serial2iot emulator", name, key, now, AUTHORITY_LASTS)
    for extension, critical in (
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (_key_usage("key_cert_sign", "crl_sign"), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
    ):
        unsigned = unsigned.add_extension(extension, critical)
    return unsigned.sign(key, hashes.SHA256()), key


def _describe(
    common_name: str, issuer: x509.Name, key: PrivateKey, now: datetime, lasts: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + lasts)
    )


def _leaf_extensions(
    role: Role, key: PrivateKey, issuer_key: PrivateKey
) -> list[tuple[x509.ExtensionType, bool]]:
    """Return what strict verifiers ask of a leaf (RFC 5280, 4.2.1), each with its critical flag."""
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if role == "server" else ExtendedKeyUsageOID.CLIENT_AUTH
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_key_usage("digital_signature"), True),
        (x509.ExtendedKeyUsage([purpose]), False),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False),
    ]
    if role == "server":
        addresses = [x509.IPAddress(ipaddress.ip_address(text)) for text in ("127.0.0.1", "::1")]
        extensions.append((x509.SubjectAlternativeName([x509.DNSName("localhost"), *addresses]), False))
    return extensions


_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def _key_usage(*allowed: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in allowed for usage in _KEY_USAGES})


def _good(certificate: x509.Certificate, key: PrivateKey, *, issuer: x509.Certificate, now: datetime) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    in_time = certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - NEAR_ITS_END
    return in_time and certificate.public_key() == key.public_key()


def _read_pair(certificate: Path, key: Path) -> tuple[x509.Certificate, PrivateKey] | None:
    try:
        loaded = serialization.load_pem_private_key(key.read_bytes(), password=None)
        if isinstance(loaded, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            return x509.load_pem_x509_certificate(certificate.read_bytes()), loaded
    except (FileNotFoundError, ValueError, TypeError):  # TypeError: somebody encrypted the key
        pass
    return None


def _write_pair(
    certificate_file: Path, key_file: Path, certificate: x509.Certificate, key: PrivateKey
) -> None:
    pem = serialization.Encoding.PEM
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    _write(key_file, key.private_bytes(pem, pkcs8, plain), 0o600)
    _write(certificate_file, certificate.public_bytes(pem), 0o644)


def _write(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)  # 0600, and nobody sees half a file
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        os.fchmod(descriptor, mode)
    Path(temporary).replace(path)
