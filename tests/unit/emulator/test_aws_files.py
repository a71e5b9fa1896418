"""The files of config/aws/: each is loaded, and holds what the project needs and no more."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from serial2iot.emulator.aws_files import aws_file
from serial2iot.emulator.rules import load_rule
from serial2iot.errors import EmulatorError

AWS = Path(__file__).resolve().parents[3] / "config" / "aws"
THING = "${iot:Connection.Thing.ThingName}"


def read(name: str) -> Any:
    return json.loads(aws_file(name).read_bytes())


def allowed(action: str) -> set[str]:
    """Return what the device policy allows, without the front of the ARN."""
    resources: list[str] = []
    for statement in read("policy.json")["Statement"]:
        assert statement["Effect"] == "Allow"
        if statement["Action"] == action:
            resource = statement["Resource"]
            resources += [resource] if isinstance(resource, str) else resource
    return {resource.removeprefix("arn:aws:iot:REGION:ACCOUNT:") for resource in resources}


@pytest.mark.parametrize("path", sorted(AWS.glob("rule-*.json")), ids=lambda path: path.name)
def test_every_rule_is_one_that_the_emulator_runs(path: Path) -> None:
    assert load_rule(path).actions


@pytest.mark.parametrize("path", sorted(AWS.glob("*.json")), ids=lambda path: path.name)
def test_every_file_is_found_and_has_its_places_to_fill_in(path: Path) -> None:
    assert aws_file(path.name) == path
    text = json.dumps(read(path.name))
    assert "ACCOUNT" in text
    assert not re.search(r"\b\d{12}\b|[a-z]+-[a-z]+-\d", text)  # nobody's account, nobody's region


def test_the_policy_allows_a_device_its_own_and_nothing_else() -> None:
    shadow = f"$aws/things/{THING}/shadow"
    heard = {f"{shadow}/{end}" for end in ("update/documents", "get/accepted", "get/rejected")}
    assert allowed("iot:Connect") == {f"client/{THING}"}
    assert allowed("iot:Publish") == {
        f"topic/my/things/{THING}/update",
        f"topic/my/things/{THING}/telemetry",
        f"topic/{shadow}/get",
    }
    assert allowed("iot:Subscribe") == {f"topicfilter/{topic}" for topic in heard}
    assert allowed("iot:Receive") == {f"topic/{topic}" for topic in heard}


def test_the_policy_is_not_too_long_for_aws() -> None:
    """2,048 characters without white space (AWS General Reference, AWS IoT Core quotas)."""
    assert len(re.sub(r"\s", "", aws_file("policy.json").read_text())) <= 2048


def test_the_role_lets_the_rule_update_shadows_and_nobody_else_take_it() -> None:
    [may] = read("role-republish-policy.json")["Statement"]
    assert may["Action"] == "iot:Publish"
    assert may["Resource"] == "arn:aws:iot:REGION:ACCOUNT:topic/$aws/things/*/shadow/update"
    [trust] = read("role-republish-trust.json")["Statement"]
    assert trust["Principal"] == {"Service": "iot.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": "ACCOUNT"}


def test_the_names_that_the_commands_give_are_those_in_the_files() -> None:
    commands = (AWS / "README.md").read_text()
    republish = read("rule-presence.json")["actions"][0]["republish"]
    role = republish["roleArn"].rsplit("/", 1)[1]
    assert f"create-role --role-name {role} " in commands
    [trust] = read("role-republish-trust.json")["Statement"]
    rule = trust["Condition"]["ArnLike"]["aws:SourceArn"].rsplit("/", 1)[1]
    assert f"create-topic-rule --rule-name {rule} " in commands
    for name in re.findall(r"file://(\S+)", commands):
        assert aws_file(name).is_file()


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(EmulatorError, match=r"rule-x\.json"):
        aws_file("rule-x.json")
