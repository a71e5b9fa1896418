"""Damaged bytes are never taken for a certificate's dates, and never anything worse than a ValueError."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial2iot.cloud.x509 import validity_of
from serial2iot.emulator import pki


@pytest.fixture(scope="module")
def der(device_credentials: pki.Credentials) -> bytes:
    return ssl.PEM_cert_to_DER_cert(device_credentials.certificate.read_text())


@given(data=st.data())
def test_a_certificate_with_flipped_bytes(der: bytes, data: st.DataObject) -> None:
    changed = bytearray(der)
    for at in data.draw(st.lists(st.integers(0, len(der) - 1), min_size=1, max_size=8)):
        changed[at] = data.draw(st.integers(0, 255))
    for damaged in (bytes(changed), bytes(changed[: data.draw(st.integers(0, len(der)))])):
        try:
            not_before, not_after = validity_of(damaged)
        except ValueError:
            continue
        assert not_before.tzinfo is not None
        assert not_after.tzinfo is not None


@given(st.binary(max_size=64))
def test_bytes_that_never_were_one(data: bytes) -> None:
    with pytest.raises(ValueError):
        validity_of(data)
