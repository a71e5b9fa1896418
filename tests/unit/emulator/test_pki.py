"""Certificates: found again, made anew when they are no good, and wrong on demand."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from serial2iot.emulator import pki
from serial2iot.emulator.pki import Authority, Credentials
from serial2iot.errors import EmulatorError

NOW = datetime(2025, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.open(tmp_path, NOW)


def certificate(files: Credentials) -> x509.Certificate:
    return x509.load_pem_x509_certificate(files.certificate.read_bytes())


def fits(files: Credentials) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(files.certificate, files.private_key)
    except ssl.SSLError:
        return False
    return True


def verify_device(files: Credentials) -> None:
    """Verify by an implementation that is not the one under test; raises VerificationError."""
    store = Store([x509.load_pem_x509_certificate(files.root_ca.read_bytes())])
    # A device has no name that is checked, so no subjectAltName, which the default policy asks for.
    leaf = ExtensionPolicy.permit_all().require_present(
        x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _is_for_clients
    )
    policy = (
        PolicyBuilder()
        .store(store)
        .time(NOW)
        .extension_policies(ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=leaf)
    )
    policy.build_client_verifier().verify(certificate(files), [])


def _is_for_clients(policy: object, leaf: x509.Certificate, usage: x509.ExtendedKeyUsage) -> None:
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_files_lie_where_aws_puts_them(authority: Authority, tmp_path: Path) -> None:
    device = authority.device("RPI", NOW)
    assert device.root_ca == tmp_path / "AmazonRootCA1.pem"
    assert device.certificate == tmp_path / "certs/RPI/device.pem.crt"
    assert device.private_key == tmp_path / "certs/RPI/private.pem.key"


def test_private_keys_are_for_their_owner_only(authority: Authority, tmp_path: Path) -> None:
    authority.server(NOW)
    authority.device("RPI", NOW)
    keys = list(tmp_path.rglob("*.key"))
    assert len(keys) == 3
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}


def test_a_device_verifies_against_the_root(authority: Authority) -> None:
    device = authority.device("RPI", NOW)
    verify_device(device)
    assert fits(device)
    assert isinstance(certificate(device).public_key(), ec.EllipticCurvePublicKey)


def test_the_server_verifies_under_every_name_of_this_machine(authority: Authority) -> None:
    server = certificate(authority.server(NOW))
    store = Store([x509.load_pem_x509_certificate(authority.root_ca.read_bytes())])
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(name.value) for name in names} == {"localhost", "127.0.0.1", "::1"}
    for name in names:
        assert isinstance(name, x509.DNSName | x509.IPAddress)
        PolicyBuilder().store(store).time(NOW).build_server_verifier(name).verify(server, [])


def test_what_is_there_is_used_again(authority: Authority, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in _all_files(authority, NOW)}
    later = NOW + timedelta(days=300)
    assert {path: path.read_bytes() for path in _all_files(Authority.open(tmp_path, later), later)} == before


def test_what_expires_is_made_anew_and_the_root_stays(authority: Authority, tmp_path: Path) -> None:
    root, *others = [path.read_bytes() for path in _all_files(authority, NOW)]
    later = NOW + timedelta(days=364, hours=1)
    root_later, *others_later = [
        path.read_bytes() for path in _all_files(Authority.open(tmp_path, later), later)
    ]
    assert root_later == root
    assert set(others).isdisjoint(others_later)


def test_a_clock_before_the_certificate_makes_it_anew(authority: Authority) -> None:
    first = certificate(authority.device("RPI", NOW))
    assert certificate(authority.device("RPI", NOW - timedelta(days=400))) != first


@pytest.mark.parametrize("damage", [b"", b"no pem at all", None])
@pytest.mark.parametrize("name", ["certs/RPI/device.pem.crt", "certs/RPI/private.pem.key"])
def test_what_is_damaged_or_missing_is_made_anew(
    authority: Authority, tmp_path: Path, name: str, damage: bytes | None
) -> None:
    authority.device("RPI", NOW)
    if damage is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(damage)
    device = authority.device("RPI", NOW)
    verify_device(device)
    assert fits(device)


def test_a_lost_root_makes_everything_anew(authority: Authority, tmp_path: Path) -> None:
    first = certificate(authority.device("RPI", NOW))
    authority.root_ca.unlink()
    device = Authority.open(tmp_path, NOW).device("RPI", NOW)
    assert certificate(device) != first
    verify_device(device)


@pytest.mark.parametrize("thing", ["", "../RPI", "a/b", "a b", "x" * 65, "é"])
def test_names_that_are_none_are_refused(authority: Authority, thing: str) -> None:
    with pytest.raises(EmulatorError) as caught:
        authority.device(thing, NOW)
    assert caught.value.hint


def test_expired_on_demand(authority: Authority) -> None:
    device = pki.expired_device(authority, "RPI", NOW)
    assert certificate(device).not_valid_before_utc < certificate(device).not_valid_after_utc < NOW
    assert fits(device)
    with pytest.raises(VerificationError):
        verify_device(device)


def test_of_another_authority_on_demand(authority: Authority) -> None:
    device = pki.stranger_device(authority, "RPI", NOW)
    assert fits(device)
    with pytest.raises(VerificationError):
        verify_device(device)


def test_a_key_that_does_not_fit_on_demand(authority: Authority) -> None:
    device = pki.misfit_device(authority, "RPI", NOW)
    verify_device(device)
    assert not fits(device)


def test_rsa_on_demand(authority: Authority) -> None:
    device = pki.rsa_device(authority, "RPI", NOW)
    verify_device(device)
    assert fits(device)
    assert isinstance(certificate(device).public_key(), rsa.RSAPublicKey)


def test_faulty_ones_leave_the_good_one_alone(authority: Authority) -> None:
    good = authority.device("RPI", NOW)
    before = good.certificate.read_bytes(), good.private_key.read_bytes()
    for make in (pki.expired_device, pki.stranger_device, pki.misfit_device, pki.rsa_device):
        make(authority, "RPI", NOW)
    assert (good.certificate.read_bytes(), good.private_key.read_bytes()) == before


def _all_files(authority: Authority, now: datetime) -> list[Path]:
    server, device = authority.server(now), authority.device("RPI", now)
    return [authority.root_ca, server.certificate, server.private_key, device.certificate, device.private_key]
