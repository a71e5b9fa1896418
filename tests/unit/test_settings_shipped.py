"""The configuration that users get loads as it is, and what it says of the defaults is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from serial2iot.emulator import pki
from serial2iot.settings import Settings, load
from serial2iot.settings.tables import Tree
from tests.configuration import NOW

CONFIG = Path(__file__).resolve().parents[2] / "config"
SHIPPED = sorted(CONFIG.rglob("*.toml"))


def loaded(path: Path, credentials: pki.Credentials) -> Settings:
    environ = {
        "SERIAL2IOT_MQTT__CERTIFICATE": str(credentials.certificate),
        "SERIAL2IOT_MQTT__PRIVATE_KEY": str(credentials.private_key),
        "SERIAL2IOT_MQTT__ROOT_CA": str(credentials.root_ca),
    }
    if path != CONFIG / "serial2iot.toml":  # an example is what belongs behind [[serial]]
        environ |= {
            "SERIAL2IOT_THING__NAME": "RPI",
            "SERIAL2IOT_MQTT__ENDPOINT": "abcdef-ats.iot.ap-northeast-2.amazonaws.com",
        }
    return load(path, environ, NOW)


def test_there_is_one_to_begin_with() -> None:
    assert CONFIG / "serial2iot.toml" in SHIPPED


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(CONFIG)))
def test_it_loads_without_a_warning(path: Path, device_credentials: pki.Credentials) -> None:
    assert loaded(path, device_credentials).warnings == ()


def test_every_default_it_shows_is_the_default(tmp_path: Path, device_credentials: pki.Credentials) -> None:
    shipped = CONFIG / "serial2iot.toml"
    spelt_out = tmp_path / "config.toml"
    text, shown = re.subn(r"(?m)^#(?=[a-z_]+ = )", "", shipped.read_text())
    assert shown > 25
    spelt_out.write_text(text)
    by_default, by_text = loaded(shipped, device_credentials), loaded(spelt_out, device_credentials)
    assert by_text.session == by_default.session
    assert by_text.presence == by_default.presence
    assert by_text.telemetry == by_default.telemetry
    assert by_text.ports == by_default.ports
    assert by_text.spool == by_default.spool
    assert by_text.log == by_default.log


def test_it_shows_every_key_of_the_tables_that_are_given_once() -> None:
    text = (CONFIG / "serial2iot.toml").read_text()
    sections = dict(re.findall(r"(?ms)^\[+(\w+)\]+$(.*?)(?=^\[|\Z)", text))
    for table, field in Tree.model_fields.items():
        for key in getattr(field.annotation, "model_fields", ()):
            assert re.search(rf"(?m)^#?{key} = ", sections[table]), f"[{table}] {key} is not shown"
