"""Each kind of mistake is told with its file, line and key, what is wrong, and what would be right."""

from __future__ import annotations

import os
import re

import pytest

from serial2iot.errors import CredentialError
from tests.configuration import Configuration

ENDPOINT = 'endpoint = "abcdef-ats.iot.ap-northeast-2.amazonaws.com"'
TOPIC = 'topic = "my/things/{thing}/telemetry"'
PRESENCE = 'topic = "my/things/{thing}/update"'
DEVICE = 'device = "/dev/ttyACM0"'

# The line that is replaced, by what, the key that is named, what is said, and what is hinted at.
MISTAKES = [
    # Names of keys and tables
    ("keep_alive_s = 30", "keepalive_s = 30", "mqtt.keepalive_s", "is no key", "Did you mean keep_alive_s?"),
    (
        "keep_alive_s = 30",
        "baud = 9600",
        "mqtt.baud",
        "allowed: certificate, client_id,",
        r"under \[\[serial\]\]",
    ),
    ('layout = "single"', 'limits = "none"', "telemetry.limits", "is no key", r"belongs under \[mqtt\]"),
    ("keep_alive_s = 30", 'auth = "mtls"', "mqtt.auth", "is no key", ""),
    ("[log]", "[logs]", "logs", "is no table .*; allowed: buffer, log, mqtt", "Did you mean log?"),
    ("[log]", "[[command]]\n[log]", "command", "is no table", ""),
    ('name = "RPI"', "", "thing.name", "is missing", ""),
    (ENDPOINT, "", "mqtt.endpoint", "is missing", ""),
    # Kinds of values
    ("port = 8883", 'port = "mqtt"', "mqtt.port", 'must be a whole number, not "mqtt"', ""),
    ("port = 8883", "port = 8883.5", "mqtt.port", "must be a whole number, not 8883.5", ""),
    ("port = 8883", "port = true", "mqtt.port", "must be a number, not true", ""),
    ("[buffer]", "[buffer]\ncommit_after_s = nan", "buffer.commit_after_s", "finite number", ""),
    ("[buffer]", '[buffer]\ncommit_after_s = "3 s"', "buffer.commit_after_s", 'a number, not "3 s"', ""),
    ('name = "RPI"', "name = 5", "thing.name", "must be text in quotes, not 5", ""),
    ('private_key = "private.pem.key"', "private_key = 5", "mqtt.private_key", "text in quotes, not 5", ""),
    ("baud = 115200", 'reset_on_open = "no"', "serial[0].reset_on_open", 'true or false, not "no"', ""),
    ("baud = 115200", "names = 3", "serial[0].names", "must be a list, not 3", ""),
    ("baud = 115200", "match = 3", "serial[0].match", "must be a table, not 3", ""),
    ("baud = 115200", "rename = 3", "serial[0].rename", "must be a table, not 3", ""),
    ("baud = 115200", "end = [300]", "serial[0].end", "neither text nor a list of bytes", "0x42"),
    ("baud = 115200", "end = 3", "serial[0].end", "must be text .* or a list of bytes .*, not 3", ""),
    # Bounds
    (
        "keep_alive_s = 30",
        "keep_alive_s = 29",
        "mqtt.keep_alive_s",
        "29 is out of range; allowed: 30 to 1200",
        "",
    ),
    ("keep_alive_s = 30", "keep_alive_s = 1201", "mqtt.keep_alive_s", "allowed: 30 to 1200", ""),
    ("port = 8883", "port = 0", "mqtt.port", "allowed: 1 to 65535", ""),
    ("port = 8883", "session_expiry_s = 604801", "mqtt.session_expiry_s", "allowed: 0 to 604800", ""),
    ("max_bytes = 5120", "max_bytes = 131073", "telemetry.max_bytes", "allowed: 512 bytes to 128 KiB", ""),
    ("max_bytes = 5120", "max_readings = 0", "telemetry.max_readings", "allowed: 1 to 10000", ""),
    ("max_bytes = 5120", "max_age_s = -1", "telemetry.max_age_s", "allowed: 0 to 3600", ""),
    ("baud = 115200", "baud = 0", "serial[0].baud", "allowed: 50 to 12000000", ""),
    ('max_bytes = "64 MiB"', 'max_bytes = "64 MB"', "buffer.max_bytes", "not a size; allowed: .*MiB", ""),
    (
        'max_bytes = "64 MiB"',
        "max_bytes = 1",
        "buffer.max_bytes",
        "1 bytes is out of range; allowed: 4 KiB",
        "",
    ),
    ("[buffer]", "[buffer]\ncommit_after_s = 3601", "buffer.commit_after_s", "allowed: 0 to 3600", ""),
    # One of several words
    (
        'layout = "single"',
        'layout = "batches"',
        "telemetry.layout",
        'cannot be "batches"; allowed: "single" or "batch"',
        "Did you mean batch?",
    ),
    ('level = "info"', 'level = "INFO"', "log.level", 'allowed: "debug", "info", "warning" or "error"', ""),
    ("baud = 115200", "data_bits = 9", "serial[0].data_bits", "cannot be 9; allowed: 5, 6, 7 or 8", ""),
    ("baud = 115200", 'checksum = { kind = "crc" }', "serial[0].checksum.kind", 'cannot be "crc"', ""),
    # Names
    ('name = "RPI"', 'name = "my pi"', "thing.name", "no thing name; allowed: 1 to 128 letters", ""),
    (ENDPOINT, 'endpoint = "https://x.amazonaws.com"', "mqtt.endpoint", "no host name", "before ://"),
    (ENDPOINT, 'endpoint = "x.amazonaws.com:8883"', "mqtt.endpoint", "no host name", "mqtt.port"),
    (ENDPOINT, 'endpoint = ""', "mqtt.endpoint", "no host name", "describe-endpoint"),
    ("port = 8883", 'client_id = "{port}"', "mqtt.client_id", "stands for nothing", "{thing}"),
    ("port = 8883", 'client_id = "a\\tb"', "mqtt.client_id", "no client id; allowed: 1 to 128", ""),
    ('name = "arduino"', 'name = "my/port"', "serial[0].name", "no port name; allowed: 1 to 64", ""),
    ('name = "arduino"', 'name = ""', "serial[0].name", "no port name", ""),
    # Topics
    (PRESENCE, 'topic = "$aws/things/{thing}/shadow/update"', "presence.topic", "ignores last wills", "rule"),
    (PRESENCE, 'topic = "my/{port}"', "presence.topic", "stands for nothing", "{thing}"),
    (TOPIC, 'topic = "$aws/things/{thing}/x"', "telemetry.topic", r"allowed: \$aws/rules/", ""),
    (TOPIC, 'topic = "my/+/{port}"', "telemetry.topic", "wildcard", "FROM"),
    (TOPIC, 'topic = "a/b/c/d/e/f/g/h/{port}"', "telemetry.topic", "8 slashes; AWS takes 7", ""),
    (TOPIC, f'topic = "{"x" * 251}{{port}}"', "telemetry.topic", "258 bytes; AWS takes 256", "Shorten"),
    (TOPIC, 'topic = "my/{prot}"', "telemetry.topic", "{prot}, which stands for nothing", "{port}"),
    (TOPIC, PRESENCE, "telemetry.topic", "is presence.topic already", "shadow"),
    # Ports
    (DEVICE, "", "serial[0]", "neither device nor match; allowed: one of them", "/dev/ttyACM0"),
    (DEVICE, f"{DEVICE}\nmatch = {{ vid = 1 }}", "serial[0].match", "device and match; allowed: one", ""),
    (DEVICE, "match = {}", "serial[0].match", "says nothing; needed: vid, pid or serial", "lsusb"),
    (DEVICE, "match = { vid = 0x10000 }", "serial[0].match.vid", "allowed: 0x0000 to 0xFFFF", ""),
    (DEVICE, 'device = ""', "serial[0].device", "cannot be empty", ""),
    ('name = "gps"', 'name = "arduino"', "serial[1].name", "taken by another port", "apart"),
    ('device = "/dev/ttyUSB0"', DEVICE, "serial[1].device", 'same as that of port "arduino"', ""),
    # What goes together
    ("baud = 115200", 'framing = "gap"\ngap_ms = 5', "serial[0].gap_ms", "is below 20", "USB"),
    ("baud = 115200", 'framing = "gap"', "serial[0].gap_ms", "needs gap_ms", "Add gap_ms"),
    (
        "baud = 115200",
        'framing = "cobs"\nchecksum = { kind = "xor8", covers_marker = true }',
        "serial[0].checksum.covers_marker",
        "needs checksum.after",
        "Leave it out",
    ),
    (
        'memory_max_bytes = "8 MiB"',
        'memory_max_bytes = "65 MiB"',
        "buffer.memory_max_bytes",
        "up to 64 MiB",
        "",
    ),
    # Credentials
    ('root_ca = "AmazonRootCA1.pem"', 'root_ca = "nothing.pem"', "mqtt.root_ca", "there is no file", ""),
    ('root_ca = "AmazonRootCA1.pem"', 'root_ca = ""', "mqtt.root_ca", "must be the name of a file", ""),
    (
        'certificate = "device.pem.crt"',
        'certificate = "private.pem.key"',
        "mqtt.certificate",
        "holds",
        "swapped",
    ),
    (
        'certificate = "device.pem.crt"',
        'certificate = "AmazonRootCA1.pem"',
        "mqtt.private_key",
        "not the key",
        "",
    ),
]


@pytest.mark.parametrize(("line", "by", "key", "what", "hint"), MISTAKES)
def test_a_mistake_is_told_where_it_was_made(
    configuration: Configuration, line: str, by: str, key: str, what: str, hint: str
) -> None:
    configuration.replace(line, by)
    error = configuration.refused()
    problem = next(problem for problem in error.problems if problem.key == key)
    text = configuration.path.read_text().splitlines()
    assert re.search(what, str(problem)), problem
    assert re.search(hint, problem.hint), problem.hint
    assert f"{problem.where}: {key}: {problem}" in str(error)
    file, _, number = problem.where.rpartition(":")
    assert file == str(configuration.path)
    stands = text[int(number) - 1]
    word = key.split(".")[-1].split("[")[0]
    # A key that is missing is looked for in its table; a key that does not fit another stands on its own line.
    assert word in stands or stands in ("[thing]", "[mqtt]", "[[serial]]"), stands


def test_one_mistake_is_one_line_and_its_hint(configuration: Configuration) -> None:
    line = configuration.replace("keep_alive_s = 30", "keep_alive_s = 5")
    error = configuration.refused()
    assert (
        str(error)
        == f"{configuration.path}:{line}: mqtt.keep_alive_s: 5 is out of range; allowed: 30 to 1200"
    )
    assert error.key == "mqtt.keep_alive_s"
    assert error.where == f"{configuration.path}:{line}"


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(configuration: Configuration) -> None:
    mistakes = [
        ('name = "RPI"', 'name = "R PI"'),
        ("keep_alive_s = 30", "keep_alive_s = 5"),
        ('root_ca = "AmazonRootCA1.pem"', 'root_ca = "nothing"'),
        (PRESENCE, 'topic = "my/#"'),
        ('layout = "single"', 'layot = "single"'),
        ('name = "arduino"', 'name = "my port"'),
        ('device = "/dev/ttyUSB0"', ""),
        ('memory_max_bytes = "8 MiB"', 'memory_max_bytes = "80 MiB"'),
        ('level = "info"', 'level = "loud"'),
    ]
    for line, by in mistakes:
        configuration.replace(line, by or "# nothing here")
    error = configuration.refused()
    assert [problem.key for problem in error.problems] == [
        "thing.name",
        "mqtt.keep_alive_s",
        "mqtt.root_ca",
        "presence.topic",
        "telemetry.layot",
        "serial[0].name",
        "serial[1]",
        "buffer.memory_max_bytes",
        "log.level",
    ]
    lines = str(error).splitlines()
    assert lines[0] == "9 things are wrong with the configuration"
    assert "    Did you mean layout?" in lines
    assert error.hint == "", "the hints are told with their mistakes"


def test_a_client_id_that_is_too_long_with_the_name_in_it(configuration: Configuration) -> None:
    configuration.replace('name = "RPI"', f'name = "{"R" * 128}"')
    line = configuration.replace("port = 8883", 'client_id = "pi-{thing}"')
    (problem,) = configuration.refused().problems
    assert (problem.where, problem.key) == (f"{configuration.path}:{line}", "mqtt.client_id")
    assert str(problem) == "has 131 bytes with the thing's name; allowed: up to 128"


def test_without_a_port_there_is_nothing_to_do(configuration: Configuration) -> None:
    text = configuration.path.read_text()
    configuration.path.write_text(text[: text.index("[[serial]]")])
    assert "there is no port to read" in str(configuration.refused())


def test_serial_with_one_bracket(configuration: Configuration) -> None:
    text = configuration.path.read_text()
    configuration.path.write_text(text[: text.index("[[serial]]")] + "[serial]\nname = 'a'\n")
    assert "two brackets" in configuration.refused().hint


def test_a_section_that_is_no_table(configuration: Configuration) -> None:
    text = configuration.path.read_text()
    configuration.path.write_text("log = 3\n" + text[: text.index("[log]")])
    error = configuration.refused()
    assert str(error) == f"{configuration.path}:1: log: must be a table, not 3"


# Files -------------------------------------------------------------------------------------------------------


def test_a_file_that_is_not_there(configuration: Configuration) -> None:
    configuration.path.unlink()
    error = configuration.refused()
    assert str(error) == f"{configuration.path}: there is no such file"
    assert "--config" in error.hint


def test_broken_toml(configuration: Configuration) -> None:
    line = configuration.replace("port = 8883", "port 8883")
    assert configuration.refused().where == f"{configuration.path}:{line}"


def test_a_key_that_others_may_read(configuration: Configuration) -> None:
    (configuration.folder / "private.pem.key").chmod(0o644)
    (problem,) = configuration.refused().problems
    assert isinstance(problem, CredentialError)
    assert problem.key == "mqtt.private_key"
    assert "sudo chmod 600" in problem.hint


def test_a_key_that_was_pasted_into_the_file_is_never_shown(configuration: Configuration) -> None:
    secret = (configuration.folder / "private.pem.key").read_text()
    configuration.replace('private_key = "private.pem.key"', f'private_key = """{secret}"""')
    error = configuration.refused()
    told = f"{error} {error.hint} {error.problems!r}"
    assert "the name of a file" in told
    assert not any(line in told for line in secret.splitlines())


# The environment ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "what", "hint"),
    [
        ("SERIAL2IOT_MQTT__KEEPALIVE_S", "30", "is no variable", "SERIAL2IOT_MQTT__KEEP_ALIVE_S"),
        ("SERIAL2IOT_MQTT_PORT", "30", "is no variable", "SERIAL2IOT_MQTT__PORT"),
        ("SERIAL2IOT_mqtt__port", "30", "is no variable", "SERIAL2IOT_MQTT__PORT"),
        ("SERIAL2IOT_SERIAL__0__NAME", "a", "is no variable", "SERIAL2IOT_SERIAL?"),
        ("SERIAL2IOT_MQTT", "{}", "is no variable", ""),
        ("SERIAL2IOT_QUITE_ANOTHER_THING", "", "is no variable", "TABLE__KEY"),
        ("SERIAL2IOT_MQTT__KEEP_ALIVE_S", "5", "mqtt.keep_alive_s: 5 is out of range; allowed: 30", ""),
        ("SERIAL2IOT_MQTT__KEEP_ALIVE_S", "often", 'mqtt.keep_alive_s: .*not "often"', ""),
        ("SERIAL2IOT_MQTT__ENDPOINT", "", "mqtt.endpoint: .*no host name", ""),
        ("SERIAL2IOT_BUFFER__MAX_BYTES", "big", "buffer.max_bytes: .*not a size", ""),
        ("SERIAL2IOT_LOG__LEVEL", "loud", "log.level: cannot be", ""),
        ("SERIAL2IOT_SERIAL", '[{"name": "a"', "is not JSON: .*column", "all ports"),
        ("SERIAL2IOT_SERIAL", "null", "must be a list", ""),
        ("SERIAL2IOT_SERIAL", "[]", "no port to read", ""),
        (
            "SERIAL2IOT_SERIAL",
            '[{"name": "a", "device": "b", "boud": 1}]',
            r"serial\[0\].boud: is no key",
            "baud",
        ),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(
    configuration: Configuration, name: str, value: str, what: str, hint: str
) -> None:
    error = configuration.refused({name: value})
    (problem,) = error.problems
    assert problem.where == name
    assert re.search(f"^{name}: .*{what}" if ":" not in what else f"^{name}: {what}", str(error)), error
    assert hint in error.hint


def test_a_variable_does_not_hide_what_the_file_has_wrong(configuration: Configuration) -> None:
    line = configuration.replace("port = 8883", "port = 0")
    error = configuration.refused({"SERIAL2IOT_MQTT__KEEP_ALIVE_S": "5", "SERIAL2IOT_MQTTT__PORT": "1"})
    assert {problem.where for problem in error.problems} == {
        "SERIAL2IOT_MQTT__KEEP_ALIVE_S",
        "SERIAL2IOT_MQTTT__PORT",
        f"{configuration.path}:{line}",
    }
    assert configuration.load({"SERIAL2IOT_MQTT__PORT": "443"}).session.port == 443


def test_the_process_environment_is_not_looked_at(
    configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "SERIAL2IOT_MQTT__PORT", "443")
    assert configuration.load().session.port == 8883
