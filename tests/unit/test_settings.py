"""A good configuration becomes the rooms' options, each from the environment, the file or its default."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from pathlib import Path

import pytest

from serial2iot.cloud.options import SessionOptions, TelemetryOptions
from serial2iot.host.logs import LogOptions
from serial2iot.port.options import DeviceMatch, PortOptions
from serial2iot.settings import Settings, describe
from serial2iot.spool.contract import SpoolOptions
from serial2iot.wire.options import ChecksumOptions, FieldOptions, LengthOptions, WireOptions
from tests.configuration import NOW, Configuration

SMALLEST = """
[thing]
name = "RPI"
[mqtt]
endpoint = "localhost"
certificate = "device.pem.crt"
private_key = "private.pem.key"
root_ca = "AmazonRootCA1.pem"
[[serial]]
name = "arduino"
device = "/dev/ttyACM0"
"""


def test_what_is_not_said_is_as_the_rooms_have_it(configuration: Configuration) -> None:
    configuration.path.write_text(SMALLEST)
    settings = configuration.load()
    files = [
        configuration.folder / name for name in ("device.pem.crt", "private.pem.key", "AmazonRootCA1.pem")
    ]
    assert settings.session == SessionOptions("localhost", "RPI", *files)
    assert settings.telemetry == TelemetryOptions("RPI", "my/things/RPI/telemetry")
    assert settings.presence.topic == "my/things/RPI/update"
    assert settings.presence.thing == settings.thing == "RPI"
    assert settings.spool == SpoolOptions()
    assert settings.log == LogOptions()
    (only,) = settings.ports
    assert only.port == PortOptions("arduino", "/dev/ttyACM0")
    assert only.wire == WireOptions()
    assert settings.warnings == ()


def test_no_default_is_missing_from_the_tables() -> None:
    """Nobody finds out that a room got a new option which the configuration cannot set."""
    from serial2iot.settings.serial_table import SERIAL_MODEL
    from serial2iot.settings.tables import BufferTable, LogTable, MqttTable, TelemetryTable

    def keys(*classes: type) -> set[str]:
        return {field.name for cls in classes for field in dataclasses.fields(cls)}

    assert set(MqttTable.model_fields) == keys(SessionOptions) | {"limits"}
    assert set(TelemetryTable.model_fields) == keys(TelemetryOptions) - {"thing", "limits"}
    assert set(BufferTable.model_fields) == keys(SpoolOptions)
    assert set(LogTable.model_fields) == keys(LogOptions)
    assert set(SERIAL_MODEL.model_fields) == keys(PortOptions, WireOptions)


def test_thing_and_port_are_filled_in(configuration: Configuration) -> None:
    configuration.replace('topic = "my/things/{thing}/telemetry"', 'topic = "$aws/rules/keep/{thing}/{port}"')
    configuration.replace("port = 8883", 'port = 443\nclient_id = "pi-{thing}"')
    settings = configuration.load()
    assert settings.session.client_id == "pi-RPI"
    assert settings.session.port == 443
    assert settings.telemetry.topic == "$aws/rules/keep/RPI/{port}"


def test_the_environment_wins_over_the_file(configuration: Configuration) -> None:
    settings = configuration.load(
        {
            "SERIAL2IOT_MQTT__KEEP_ALIVE_S": "60",
            "SERIAL2IOT_MQTT__ENDPOINT": "localhost",
            "SERIAL2IOT_MQTT__LIMITS": "none",
            "SERIAL2IOT_TELEMETRY__MAX_AGE_S": "0.25",
            "SERIAL2IOT_BUFFER__MAX_BYTES": "128 MiB",
            "SERIAL2IOT_BUFFER__MEMORY_MAX_BYTES": "1048576",
            "SERIAL2IOT_BUFFER__PATH": "/tmp/spool.db",
            "SERIAL2IOT_LOG__LEVEL": "debug",
            "SERIAL2IOT_CONFIG": "not ours to read",
            "SERIAL2IOT_BOOT_ID": "nor this",
            "HOME": "/root",
        }
    )
    assert (settings.session.keep_alive_s, settings.session.endpoint) == (60, "localhost")
    assert settings.session.port == 8883, "what the environment does not say is as the file has it"
    assert (settings.telemetry.limits, settings.telemetry.max_age_s) == ("none", 0.25)
    assert settings.spool == SpoolOptions(Path("/tmp/spool.db"), 128 << 20, 1 << 20)
    assert settings.log.level == "debug"


def test_the_environment_gives_all_ports_at_once(configuration: Configuration) -> None:
    ports = [
        {
            "name": "soil",
            "match": {"vid": 0x2341},
            "framing": "delimited",
            "delimiter": [13, 10],
            "keep": ["t"],
        }
    ]
    settings = configuration.load({"SERIAL2IOT_SERIAL": json.dumps(ports)})
    (only,) = settings.ports
    assert only.port == PortOptions("soil", match=DeviceMatch(vid=0x2341))
    assert (only.wire.delimiter, only.wire.keep) == (b"\r\n", frozenset({"t"}))


def test_ports_with_every_kind_of_key(configuration: Configuration) -> None:
    configuration.replace(
        "baud = 115200",
        """\
parity = "even"
stop_bits = 2
reset_on_open = false
framing = "length"
max_frame_bytes = 64
start = [0x42, 0x4D]
length = { counts = "rest", at = 2 }
checksum = { kind = "sum16" }
decode = "struct"
fields = [
    { name = "pm", type = "u16", at = 4, scale = 0.1 },
    { name = "rh", type = "i8", at = 6 },
]""",
    )
    configuration.replace(
        'framing = "lines"',
        """\
match = { vid = 0x2341, serial = "85" }
framing = "markers"
start = "/"
end = "!"
checksum = { kind = "crc16-arc", after = "!", covers_marker = true }
decode = "regex"
regex = "t=(?P<t>.*)"
text_keys = "id"
rename = { t = "temperature" }
scale = { temperature = 2 }
min_interval_s = 1
on_change = true""",
    )
    configuration.replace('device = "/dev/ttyUSB0"', "")
    air, meter = configuration.load().ports
    assert air.port == PortOptions("arduino", "/dev/ttyACM0", parity="even", stop_bits=2, reset_on_open=False)
    assert air.wire == WireOptions(
        framing="length",
        max_frame_bytes=64,
        start=b"BM",
        length=LengthOptions(counts="rest", at=2),
        checksum=ChecksumOptions(kind="sum16"),
        decode="struct",
        fields=(FieldOptions("pm", "u16", at=4, scale=0.1), FieldOptions("rh", "i8", at=6)),
    )
    assert meter.port == PortOptions("gps", match=DeviceMatch(vid=0x2341, serial="85"))
    assert meter.wire == WireOptions(
        framing="markers",
        start=b"/",
        end=b"!",
        checksum=ChecksumOptions(kind="crc16-arc", after=b"!", covers_marker=True),
        decode="regex",
        regex=("t=(?P<t>.*)",),
        text_keys=frozenset({"id"}),
        rename={"t": "temperature"},
        scale={"temperature": 2.0},
        min_interval_s=1.0,
        on_change=True,
    )


@pytest.mark.parametrize(
    ("size", "is_bytes"),
    [
        ('"64 MiB"', 64 << 20),
        ('"64mib"', 64 << 20),
        ('"1.5 MiB"', 3 << 19),
        ('"2 GiB"', 2 << 30),
        ("8388608", 8 << 20),
    ],
)
def test_sizes(configuration: Configuration, size: str, is_bytes: int) -> None:
    configuration.replace('max_bytes = "64 MiB"', f"max_bytes = {size}")
    configuration.replace('memory_max_bytes = "8 MiB"', "memory_max_bytes = 4096")
    assert configuration.load().spool.max_bytes == is_bytes


def test_file_names_are_taken_from_the_folder_of_the_configuration(
    configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    configuration.replace("[buffer]", '[buffer]\npath = "spool/spool.db"')
    settings = configuration.load()
    assert settings.spool.path == configuration.folder / "spool" / "spool.db"
    assert settings.session.private_key == configuration.folder / "private.pem.key"


# What works, and may not be meant ----------------------------------------------------------------------------


def test_batches_that_wait_longer_than_the_disk_are_warned_of(configuration: Configuration) -> None:
    configuration.replace('layout = "single"', 'layout = "batch"\nmax_age_s = 2.0')
    (warning,) = configuration.load().warnings
    assert "every reading would reach the disk" in warning
    assert "telemetry.max_age_s (2)" in warning
    configuration.replace("max_age_s = 2.0", "max_age_s = 1.5")
    assert configuration.load().warnings == ()
    configuration.replace("max_age_s = 1.5", "max_age_s = 9.0")
    configuration.replace('layout = "batch"', 'layout = "single"')
    assert configuration.load().warnings == ()


def test_an_endpoint_whose_certificate_no_root_ca_signed_is_warned_of(configuration: Configuration) -> None:
    (warning,) = configuration.load(
        {"SERIAL2IOT_MQTT__ENDPOINT": "abcdef.iot.us-east-1.amazonaws.com"}
    ).warnings
    assert "iot:Data-ATS" in warning


def test_a_certificate_out_of_its_time_does_not_keep_readings_from_being_taken(
    configuration: Configuration,
) -> None:
    """A Pi starts without the time, and an exit with 78 would not be tried again: so it is a warning here."""
    for now, what in (
        (NOW + timedelta(days=400), "expired on"),
        (NOW - timedelta(days=400), "not valid before"),
        (NOW + timedelta(days=360), "expires on"),
    ):
        settings = configuration.load(now=now)
        (warning,) = settings.warnings
        assert warning.startswith("mqtt.certificate: ")
        assert what in warning
    assert settings.credentials.problem(NOW) is None


# What `check` says -------------------------------------------------------------------------------------------


def told(settings: Settings) -> str:
    return "\n".join(describe(settings))


def test_the_description_goes_topic_by_topic(configuration: Configuration) -> None:
    configuration.replace('topic = "my/things/{thing}/telemetry"', 'topic = "my/{thing}/{port}"')
    text = told(configuration.load())
    assert (
        "arduino -> my/RPI/arduino\n    /dev/ttyACM0 at 115200 baud, 8N1; framing lines; decoded as auto"
        in text
    )
    assert "gps -> my/RPI/gps" in text
    assert "-> my/things/RPI/update" in text
    assert "$$aws/things/RPI/shadow/update" in text
    assert "45 s after the device died" in text
    assert "port 8883, as client RPI" in text
    assert "one reading a message" in text
    assert "64 MiB at most, 8 MiB of it in memory" in text
    assert "valid until 2027-11-23" in text


def test_the_description_follows_the_configuration(configuration: Configuration) -> None:
    configuration.replace('layout = "single"', 'layout = "batch"')
    configuration.replace("port = 8883", 'port = 443\nlimits = "none"\nsession_expiry_s = 60')
    configuration.replace("[buffer]", '[buffer]\ncommit_after_s = 0\nwhen_full = "drop-newest"')
    configuration.replace(
        'device = "/dev/ttyUSB0"',
        'match = { vid = 0x2341, serial = "85" }\nparity = "even"\nreset_on_open = false\nchecksum = { kind = "xor8" }',
    )
    text = told(configuration.load())
    assert "up to 64 readings of one port a message, 5 KiB at most, sent after 1 s" in text
    assert "AWS would drop" in text
    assert "port 443 with ALPN" in text
    assert "kept by the broker for 60 s" in text
    assert "on disk before it is published" in text
    assert "the newest reading is dropped" in text
    assert "the device with vid 2341, serial 85 at 115200 baud, 8E1, without resetting the board" in text
    assert "xor8 checked" in text


def test_check_says_what_the_policy_must_allow(configuration: Configuration) -> None:
    configuration.replace('topic = "my/things/{thing}/telemetry"', 'topic = "my/{port}"')
    said = "\n".join(describe(configuration.load()))
    for statement in (
        "iot:Connect    client/RPI",
        "iot:Publish    topic/my/arduino",
        "iot:Publish    topic/my/gps",
        "iot:Publish    topic/my/things/RPI/update",
        "iot:Subscribe  topicfilter/$aws/things/RPI/shadow/update/documents",
    ):
        assert statement in said
