"""Policies, by tables from AWS's documentation.

[wild] IoT developer guide, "Using wildcard characters in MQTT and AWS IoT Core policies" (pub-sub-policy.html)
[thing] "Thing policy variables" and "Connect policy examples" (thing-policy-variables.html, connect-policy.html)
[logic] IAM user guide, "Policy evaluation logic": implicit deny, allow, explicit deny
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from serial2iot.emulator.aws_files import aws_file
from serial2iot.emulator.policy import EVERYTHING, Client, load_policy, parse_policy
from serial2iot.errors import EmulatorError

ARN = "arn:aws:iot:us-east-1:123456789012:"
RPI = Client("RPI", "RPI")


def statement(action: Any, *resources: str, effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": [ARN + each for each in resources], **more}


def allowed(document: Any, action: str, resource: str, client: Client = RPI) -> bool:
    policy = parse_policy({"Version": "2012-10-17", "Statement": document})
    return policy.for_client(client).allow(action, resource)


@pytest.mark.parametrize(
    ("pattern", "resource", "wanted"),
    [
        ("topicfilter/foo/bar/*", "topicfilter/foo/bar/#", True),  # [wild] * covers MQTT's wildcards ...
        ("topicfilter/foo/bar/*", "topicfilter/foo/bar/+/a/b", True),  # ... and slashes
        ("topicfilter/foo/bar/*", "topicfilter/foo/bar", False),
        ("topicfilter/foo/+/bar", "topicfilter/foo/+/bar", True),  # [wild] + is a character
        ("topicfilter/foo/+/bar", "topicfilter/foo/x/bar", False),
        ("topicfilter/foo/#", "topicfilter/foo/x", False),  # [wild] and so is #
        ("topic/foo/ba?", "topic/foo/bar", True),
        ("topic/foo/ba?", "topic/foo/ba", False),
        ("topic/foo/ba?", "topic/foo/barr", False),
        ("topic/foo.bar", "topic/fooxbar", False),  # nothing else is special
        ("topic/${*}", "topic/x", False),
        ("topic/${*}", "topic/*", True),
        ("topic/foo", "topicfilter/foo", False),
        ("topic/${iot:ClientId}", "topic/RPI", True),
        (
            "topic/$aws/things/${iot:Connection.Thing.ThingName}/shadow/*",
            "topic/$aws/things/RPI/shadow/get",
            True,
        ),
        (
            "topic/$aws/things/${iot:Connection.Thing.ThingName}/shadow/*",
            "topic/$aws/things/B/shadow/get",
            False,
        ),
    ],
)
def test_a_resource_matches(pattern: str, resource: str, wanted: bool) -> None:
    assert allowed([statement("iot:Publish", pattern)], "iot:Publish", resource) is wanted


def test_a_name_with_a_wildcard_in_it_stands_for_itself() -> None:
    document = [statement("iot:Publish", "topic/${iot:ClientId}")]
    assert allowed(document, "iot:Publish", "topic/a*", Client("a*", None))
    assert not allowed(document, "iot:Publish", "topic/ab", Client("a*", None))


def test_a_client_without_a_thing_has_no_name_to_match() -> None:
    """[thing]: the variable has no value, so the statement does not apply, not even to an empty name."""
    document = [statement("iot:Connect", "client/${iot:Connection.Thing.ThingName}*")]
    assert allowed(document, "iot:Connect", "client/RPI")
    assert not allowed(document, "iot:Connect", "client/RPI", Client("RPI", None))
    assert not allowed(document, "iot:Connect", "client/", Client("RPI", None))


def test_a_condition_on_the_thing() -> None:
    """[thing]: the connect policy for registered devices."""
    condition = {"Bool": {"iot:Connection.Thing.IsAttached": "true"}}
    document = [statement("iot:Connect", "client/*", Condition=condition)]
    assert allowed(document, "iot:Connect", "client/RPI")
    assert not allowed(document, "iot:Connect", "client/RPI", Client("RPI", None))


@pytest.mark.parametrize("turned", [False, True])
def test_an_explicit_deny_wins_in_any_order(turned: bool) -> None:
    """[logic] [wild]: allow everything below foo, deny one."""
    document = [statement("iot:*", "topic/foo/*"), statement("iot:Publish", "topic/foo/x", effect="Deny")]
    document = document[::-1] if turned else document
    assert allowed(document, "iot:Publish", "topic/foo/y")
    assert not allowed(document, "iot:Publish", "topic/foo/x")
    assert allowed(document, "iot:Receive", "topic/foo/x")


def test_what_nobody_allows_is_denied() -> None:
    assert not allowed([statement("iot:Publish", "topic/a")], "iot:Subscribe", "topicfilter/a")
    assert not allowed([statement("iot:Publish", "topic/a")], "iot:Receive", "topic/a")
    assert EVERYTHING.for_client(RPI).allow("iot:Subscribe", "topicfilter/#")


def test_a_single_statement_and_strings_in_the_place_of_lists() -> None:
    document = {"Effect": "Allow", "Action": "iot:Publish", "Resource": ARN + "topic/a"}
    assert allowed(document, "iot:Publish", "topic/a")
    assert allowed({**document, "Resource": "*"}, "iot:Publish", "topic/anything")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Action": "iot:Explode"}, "iot:Explode"),
        ({"Action": []}, "does not know"),
        ({"Resource": "topic/a"}, "no resource of AWS IoT"),
        ({"Resource": ARN + "topic/${iot:Typo}"}, "iot:Typo"),
        ({"Effect": "Perhaps"}, "Perhaps"),
        ({"NotAction": "iot:Publish"}, "NotAction"),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, "IpAddress"),
    ],
)
def test_what_is_not_understood_is_told_when_it_is_read(change: dict[str, Any], said: str) -> None:
    document = statement("iot:Publish", "topic/a", Sid="Speak") | change
    with pytest.raises(EmulatorError, match=said) as caught:
        parse_policy({"Statement": [document]})
    assert "'Speak'" in str(caught.value)
    assert caught.value.hint


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text("{")
    with pytest.raises(EmulatorError, match=r"policy\.json is not JSON"):
        load_policy(tmp_path / "policy.json")
    with pytest.raises(EmulatorError, match="no Statement"):
        parse_policy({})


def test_one_statement_can_be_taken_away() -> None:
    policy = load_policy(aws_file("policy.json"))
    fewer = policy.without("HearTheOwnShadow")
    assert len(fewer.statements) == len(policy.statements) - 1
    assert policy.for_client(RPI).allow("iot:Receive", "topic/$aws/things/RPI/shadow/get/accepted")
    assert not fewer.for_client(RPI).allow("iot:Receive", "topic/$aws/things/RPI/shadow/get/accepted")
    with pytest.raises(KeyError):
        policy.without("NoSuchStatement")


def test_the_policy_of_this_project_binds_a_device_to_its_own_thing() -> None:
    document = json.loads(aws_file("policy.json").read_text())
    assert all(each["Sid"] for each in document["Statement"])
    mine = load_policy(aws_file("policy.json")).for_client(RPI)
    others = ("my/things/OTHER/update", "my/things/OTHER/telemetry", "$aws/things/OTHER/shadow/get")
    assert mine.allow("iot:Publish", "topic/my/things/RPI/update")
    assert not any(mine.allow("iot:Publish", f"topic/{topic}") for topic in others)
    assert not mine.allow("iot:Publish", "topic/$aws/things/RPI/shadow/update"), "the rule's role does that"
    assert not mine.allow("iot:Subscribe", "topicfilter/$aws/things/+/shadow/get/accepted")
    assert not mine.allow("iot:Connect", "client/OTHER")
