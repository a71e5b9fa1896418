"""A topic that AWS would answer by closing the connection is refused here, with the rule and a remedy."""

from __future__ import annotations

import pytest

from serial2iot.cloud.topics import check, fill
from serial2iot.errors import ConfigError


def test_placeholders_are_filled_in() -> None:
    assert fill("my/{thing}/{port}/{thing}", thing="RPI", port="soil") == "my/RPI/soil/RPI"
    assert fill("plain", thing="RPI") == "plain"


@pytest.mark.parametrize(
    "template", ["my/{port}", "my/{Thing}", "my/{}", "my/{thing", "my/thing}", "{ thing }"]
)
def test_a_brace_that_stands_for_nothing_is_refused(template: str) -> None:
    with pytest.raises(ConfigError, match="stands for nothing") as caught:
        fill(template, thing="RPI")
    assert "{thing}" in caught.value.hint


@pytest.mark.parametrize(
    "topic",
    [
        "my/things/RPI/telemetry",
        "a/b/c/d/e/f/g/h",  # seven slashes
        "x" * 256,
        "/leading and spaces/",
        "höhe/°C",
        "$aws/rules/keep_all/a/b/c/d/e/f/g/h",  # the prefix does not count
        "$aws/rules/keep_all/" + "x" * 256,
    ],
)
def test_what_aws_takes_for_telemetry_is_taken(topic: str) -> None:
    check(topic, telemetry=True)


@pytest.mark.parametrize(
    ("topic", "rule"),
    [
        ("", "empty"),
        ("a/b/c/d/e/f/g/h/i", "8 slashes; AWS takes 7"),
        ("x" * 257, "257 bytes; AWS takes 256"),
        ("é" * 129, "258 bytes"),
        ("my/+/telemetry", r"wildcard \+"),
        ("my/#", "wildcard #"),
        ("my/\0", r"U\+0000"),
        ("my/\x1b[0m", r"U\+001B"),
        ("my/\x85", r"U\+0085"),
        ("my/\ufffe", r"U\+FFFE"),
        ("my/\ud800", r"U\+D800"),
        ("$aws/things/RPI/shadow/update", "reserved"),
        ("$aws/rules/keep-all/x", "reserved"),  # no rule can have that name
        ("$aws/rules/keep_all", "reserved"),
        ("$aws/rules/keep_all/", "reserved"),
        ("$AWS/rules/keep_all/x", "reserved"),
        ("$share/x/y", "reserved"),
        ("$aws/rules/keep_all/a/b/c/d/e/f/g/h/i", "8 slashes"),
        ("$aws/rules/keep_all/" + "x" * 257, "257 bytes"),
    ],
)
def test_what_aws_refuses_is_refused_with_its_rule_and_a_remedy(topic: str, rule: str) -> None:
    with pytest.raises(ConfigError, match=rule) as caught:
        check(topic, telemetry=True)
    assert caught.value.hint


def test_presence_never_goes_to_a_reserved_topic() -> None:
    check("my/things/RPI/update", telemetry=False)
    for topic in ("$aws/things/RPI/shadow/update", "$aws/rules/presence/RPI"):
        with pytest.raises(ConfigError, match="ignores last wills") as caught:
            check(topic, telemetry=False)
        assert "rule" in caught.value.hint
