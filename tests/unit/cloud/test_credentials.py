"""Each way in which a key or certificate can be wrong is told apart, and nothing of what is in them is shown."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from serial2iot.cloud.credentials import Validity, check_certificate, check_pair, check_private_key, validity
from serial2iot.emulator import pki
from serial2iot.errors import ConfigError, CredentialError

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> pki.Authority:
    return pki.Authority.open(tmp_path_factory.mktemp("authority"), NOW)


@pytest.fixture
def files(authority: pki.Authority, tmp_path: Path) -> pki.Credentials:
    """A device's good credentials, for the test to spoil."""
    good = authority.device("RPI", NOW)
    for path in (good.certificate, good.private_key, good.root_ca):
        shutil.copy(path, tmp_path)
    return pki.Credentials(
        tmp_path / good.certificate.name, tmp_path / good.private_key.name, tmp_path / good.root_ca.name
    )


def refused(check: Callable[..., None], *paths: Path) -> CredentialError:
    """The error, which names the last file and shows nothing of what is in any."""
    with pytest.raises(CredentialError) as caught:
        check(*paths)
    told = f"{caught.value} {caught.value.hint}"
    assert str(paths[-1]) in told
    for path in paths:
        with suppress(OSError):
            inside = [line for line in path.read_text(errors="replace").splitlines() if "-----" not in line]
            assert not any(line in told for line in inside if len(line) > 5)
    return caught.value


def test_good_ones_pass(authority: pki.Authority, files: pki.Credentials) -> None:
    for each in (files, pki.rsa_device(authority, "RPI", NOW)):
        check_certificate(each.certificate)
        check_certificate(each.root_ca)
        check_private_key(each.private_key)
        check_pair(each.certificate, each.private_key)


@pytest.mark.parametrize("check", [check_certificate, check_private_key])
def test_a_missing_file(check: Callable[..., None], tmp_path: Path) -> None:
    error = refused(check, tmp_path / "nothing.pem")
    assert "there is no file" in str(error)
    assert "AWS IoT" in error.hint
    assert isinstance(error, ConfigError)


@pytest.mark.parametrize("check", [check_certificate, check_private_key])
def test_what_is_no_file_or_far_too_large(check: Callable[..., None], tmp_path: Path) -> None:
    assert "no file with" in str(refused(check, tmp_path))
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(2 << 20)
    assert "no file with" in str(refused(check, large))


@contextmanager
def as_somebody_else() -> Iterator[str]:
    """Root may read everything, so a test that runs as root steps down for a moment."""
    if os.geteuid():
        yield ""
        return
    os.seteuid(65534)
    try:
        yield "nobody"
    finally:
        os.seteuid(0)


def test_a_file_that_we_may_not_read(files: pki.Credentials, tmp_path: Path) -> None:
    files.private_key.chmod(0)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    with as_somebody_else() as who:
        error = refused(check_private_key, files.private_key)
        assert f"cannot be read by {who}" in str(error)
        assert "sudo chown" in error.hint
        assert f"chmod 600 {files.private_key}" in error.hint


def test_a_folder_that_we_may_not_enter(files: pki.Credentials, tmp_path: Path) -> None:
    tmp_path.chmod(0)
    try:
        with as_somebody_else():
            error = refused(check_certificate, files.certificate)
    finally:
        tmp_path.chmod(0o700)
    assert "namei -l" in error.hint


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o644])
def test_a_key_that_others_may_open_is_refused(files: pki.Credentials, mode: int) -> None:
    files.private_key.chmod(mode)
    error = refused(check_private_key, files.private_key)
    assert "every user" in str(error)
    assert error.hint == f"Run: sudo chmod 600 {files.private_key}"


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440])
def test_a_key_for_us_and_our_group_is_good(files: pki.Credentials, mode: int) -> None:
    files.private_key.chmod(mode)
    check_private_key(files.private_key)


def test_files_that_are_swapped(files: pki.Credentials) -> None:
    assert "swapped" in refused(check_certificate, files.private_key).hint
    assert "swapped" in refused(check_private_key, files.certificate).hint


@pytest.mark.parametrize("check", [check_certificate, check_private_key])
def test_what_is_not_pem(check: Callable[..., None], files: pki.Credentials) -> None:
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.DER))
    files.certificate.chmod(0o600)
    error = refused(check, files.certificate)
    assert "PEM" in str(error)
    assert "openssl" in error.hint
    assert "-inform der" in error.hint


def test_a_damaged_certificate(files: pki.Credentials) -> None:
    lines = files.certificate.read_text().splitlines()
    for damaged in (lines[:1] + lines[-1:], [lines[0], "!!!!", *lines[2:]], lines[:3] + lines[-1:]):
        files.certificate.write_text("\n".join(damaged))
        assert "damaged" in str(refused(check_certificate, files.certificate))


def test_a_damaged_key(files: pki.Credentials) -> None:
    lines = files.private_key.read_text().splitlines()
    files.private_key.write_text("\n".join([lines[0], lines[1][::-1], *lines[2:]]))
    error = refused(check_pair, files.certificate, files.private_key)
    assert "OpenSSL cannot use" in str(error)


def test_a_key_under_a_passphrase_is_refused_and_nobody_is_asked_for_it(files: pki.Credentials) -> None:
    key = serialization.load_pem_private_key(files.private_key.read_bytes(), None)
    for form in (serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL):
        protected = serialization.BestAvailableEncryption(b"secret")
        files.private_key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, protected))
        error = refused(check_private_key, files.private_key)
        assert "passphrase" in str(error)
        assert "openssl pkey" in error.hint


def test_a_key_that_does_not_fit(authority: pki.Authority) -> None:
    for other in (
        pki.misfit_device(authority, "RPI", NOW),
        pki.Credentials(
            authority.device("RPI", NOW).certificate,
            pki.rsa_device(authority, "RPI", NOW).private_key,
            authority.root_ca,
        ),
    ):
        error = refused(check_pair, other.certificate, other.private_key)
        assert "is not the key of" in str(error)
        assert str(other.certificate) in str(error)


# The clock ---------------------------------------------------------------------------------------------------


def test_the_dates_are_those_that_cryptography_reads(authority: pki.Authority) -> None:
    for each in (
        authority.device("RPI", NOW).certificate,
        pki.rsa_device(authority, "RPI", NOW).certificate,
        pki.expired_device(authority, "RPI", NOW).certificate,
        authority.root_ca,
    ):
        theirs = x509.load_pem_x509_certificate(each.read_bytes())
        assert validity(each) == Validity(each, theirs.not_valid_before_utc, theirs.not_valid_after_utc)


def test_the_dates_of_a_certificate_for_ever(authority: pki.Authority, tmp_path: Path) -> None:
    """AWS's end in 2049; from 2050 on they are written in another form (RFC 5280, 4.1.2.5)."""
    for years in (20, 30, 70):
        files = authority.issue(tmp_path, "device", "RPI", NOW, lasts=timedelta(days=365 * years))
        assert validity(files.certificate).not_after == NOW + timedelta(days=365 * years)


VALID = Validity(Path("device.pem.crt"), NOW - timedelta(days=100), NOW + timedelta(days=100))


def test_a_certificate_in_its_time_is_nothing_to_talk_about() -> None:
    assert VALID.problem(NOW) is None
    assert VALID.warning(NOW) == ""
    assert VALID.warning(VALID.not_after - timedelta(days=30, seconds=1)) == ""


@pytest.mark.parametrize(
    ("now", "what"),
    [(NOW + timedelta(days=101), "expired on"), (NOW - timedelta(days=101), "not valid before")],
)
def test_out_of_its_time_both_the_certificate_and_the_clock_are_suspected(now: datetime, what: str) -> None:
    problem = VALID.problem(now)
    assert isinstance(problem, CredentialError)
    assert problem.key == "mqtt.certificate"
    assert "device.pem.crt" in str(problem)
    assert what in str(problem)
    assert f"it is {now:%Y-%m-%d}" in str(problem)
    assert "certificate" in problem.hint
    assert "clock" in problem.hint
    assert what in VALID.warning(now)


def test_the_last_thirty_days_are_warned_of() -> None:
    assert "expires on 2027-03-03 04:00 UTC, in 29 days" in VALID.warning(NOW + timedelta(days=70, hours=1))
