"""Rules: AWS's own JSON in, what is republished out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from serial2iot.emulator.aws_files import aws_file
from serial2iot.emulator.rules import ActionFailed, Message, Rule, load_rule, matches, parse_rule
from serial2iot.errors import EmulatorError

ROLE = "arn:aws:iam::ACCOUNT:role/republish"
BIRTH = b'{"state":{"reported":{"connected":true}}}'


def rule(sql: str = "SELECT * FROM 'a/+'", topic: str = "b", **more: Any) -> Rule:
    action = {"republish": {"roleArn": ROLE, "topic": topic} | more}
    return parse_rule("test", {"sql": sql, "actions": [action]})


def test_presence_becomes_an_update_of_the_shadow_of_the_same_thing() -> None:
    presence = load_rule(aws_file("rule-presence.json"))
    assert presence.run("my/things/RPI/update", BIRTH) == [
        Message("$aws/things/RPI/shadow/update", BIRTH, qos=1)
    ]


@pytest.mark.parametrize(
    "topic", ["my/things/RPI/telemetry", "my/things/RPI/update/x", "$aws/things/RPI/update"]
)
def test_other_topics_leave_the_presence_rule_alone(topic: str) -> None:
    assert load_rule(aws_file("rule-presence.json")).run(topic, BIRTH) == []


def test_a_single_dollar_fails_when_it_runs_and_names_the_second() -> None:
    presence = json.loads(aws_file("rule-presence.json").read_bytes())
    presence["actions"][0]["republish"]["topic"] = "$aws/things/${topic(3)}/shadow/update"
    [outcome] = parse_rule("presence", presence).run("my/things/RPI/update", BIRTH)
    assert isinstance(outcome, ActionFailed)
    assert "second $" in outcome.reason
    assert "'$$aws/things/${topic(3)}/shadow/update'" in outcome.reason


@pytest.mark.parametrize(
    ("template", "topic"),
    [
        ("b", "b"),
        ("${topic()}/again", "a/x/again"),
        ("${topic(2)}/of/${topic(1)}", "x/of/a"),
        ("$$aws/rules/${topic(2)}", "$aws/rules/x"),
    ],
)
def test_topics_are_filled_in(template: str, topic: str) -> None:
    assert rule(topic=template).run("a/x", b"raw \xff") == [Message(topic, b"raw \xff", qos=0)]


def test_a_level_that_is_not_there_fails_the_action() -> None:
    [outcome] = rule(topic="b/${topic(3)}").run("a/x", b"")
    assert isinstance(outcome, ActionFailed)
    assert "topic(3) is undefined for 'a/x'" in outcome.reason


def test_a_failed_action_does_not_keep_the_next_from_running() -> None:
    actions = [{"republish": {"roleArn": ROLE, "topic": topic}} for topic in ("$aws/x", "good")]
    failed, sent = parse_rule("test", {"sql": "SELECT * FROM 'a'", "actions": actions}).run("a", b"1")
    assert isinstance(failed, ActionFailed)
    assert sent == Message("good", b"1", qos=0)


def test_selected_columns_are_added_to_the_object() -> None:
    added = rule("select *, topic(2) as thing, topic() AS source from 'a/+'")
    [message] = added.run("a/RPI", '{"t":23.4,"unit":"°C"}'.encode())
    assert isinstance(message, Message)
    assert message.payload == '{"t":23.4,"unit":"°C","thing":"RPI","source":"a/RPI"}'.encode()


@pytest.mark.parametrize("payload", [b"[1]", b"plain", b"\xff\xfe", b""])
def test_a_column_cannot_be_added_to_what_is_no_object(payload: bytes) -> None:
    [outcome] = rule("SELECT *, topic(2) AS thing FROM 'a/+'").run("a/RPI", payload)
    assert isinstance(outcome, ActionFailed)


def test_a_disabled_rule_does_nothing() -> None:
    document = json.loads(aws_file("rule-presence.json").read_bytes()) | {"ruleDisabled": True}
    assert parse_rule("presence", document).run("my/things/RPI/update", BIRTH) == []


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("SELECT * FROM 'a' WHERE t > 50", "WHERE"),
        ("SELECT temperature AS t FROM 'a'", "temperature"),
        ("SELECT *, concat(a, b) AS id FROM 'a'", "concat"),
        ("SELECT *", "SELECT *"),
        ('SELECT * FROM "a"', "FROM"),
        ("", "''"),
    ],
)
def test_unknown_sql_is_refused_when_read_and_shown(sql: str, named: str) -> None:
    with pytest.raises(EmulatorError, match="rule test") as caught:
        rule(sql)
    assert named in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ([], "sql"),
        ({"sql": "SELECT * FROM 'a'"}, "actions"),
        ({"sql": "SELECT * FROM 'a'", "actions": []}, "actions"),
        ({"sql": "SELECT * FROM 'a'", "actions": [{"lambda": {}}]}, "lambda"),
        ({"sql": "SELECT * FROM 'a'", "actions": [{"republish": {"topic": "b"}}]}, "roleArn"),
        (
            {
                "sql": "SELECT * FROM 'a'",
                "actions": [{"republish": {"topic": "b", "roleArn": ROLE, "qos": 2}}],
            },
            "qos",
        ),
        (
            {"sql": "SELECT * FROM 'a'", "actions": [{"republish": {"topic": "${t}", "roleArn": ROLE}}]},
            "substitute",
        ),
    ],
)
def test_unknown_documents_are_refused_when_read(document: Any, named: str) -> None:
    with pytest.raises(EmulatorError, match=named):
        parse_rule("test", document)


@pytest.mark.parametrize(
    ("topic_filter", "topic", "match"),
    [
        # the examples of MQTT 5, 4.7.1.2, 4.7.1.3 and 4.7.2
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/#", "sport", True),
        ("sport/tennis/+", "sport/tennis/player1", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("#", "a/b", True),
        ("#", "$SYS/", False),
        ("+/monitor/Clients", "$SYS/monitor/Clients", False),
        ("$SYS/#", "$SYS/", True),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
        ("$aws/things/+/shadow/update", "$aws/things/RPI/shadow/update", True),
        ("a/b", "a/b/c", False),
        ("a/b/c", "a/b", False),
    ],
)
def test_filters_match_as_mqtt_says(topic_filter: str, topic: str, match: bool) -> None:
    assert matches(topic_filter, topic) is match
