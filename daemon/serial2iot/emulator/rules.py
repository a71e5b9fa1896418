"""Topic rules as AWS IoT Core defines them, as far as `config/aws/` uses them. Pure.

A rule is read from the JSON that `aws iot create-topic-rule --topic-rule-payload` takes. What is understood:

    SELECT * FROM 'filter'                          the payload as it came, whatever it is
    SELECT *, topic(3) AS thing FROM 'filter'       a JSON object, with more in it
    ${topic()}  ${topic(3)}                         in the republish action's topic

Rules:

1. What is not understood is an error when the rule is read, never when a message comes.
2. A wildcard at the start of the filter does not match a topic that starts with `$` (MQTT 5, 4.7.2).
3. `$$` at the start of the republish action's topic is one literal `$`: so a reserved topic is written. With
   a single `$` the rule can be created, and then fails at every message.
   (https://docs.aws.amazon.com/iot/latest/developerguide/republish-rule-action.html)
4. An action that fails does not keep the others from running.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from serial2iot.errors import EmulatorError

_SQL = re.compile(r"\s*SELECT\s+(?P<columns>.+?)\s+FROM\s+'(?P<filter>[^']+)'\s*(?P<rest>.*)", re.I | re.S)
_COLUMN = re.compile(r"topic\((?P<level>\d*)\)\s+(?i:AS)\s+(?P<name>[A-Za-z_]\w*)")
_SUBSTITUTION = re.compile(r"\$\{topic\((\d*)\)\}")
_SQL_HINT = (
    "the emulator knows SELECT *, or SELECT *, topic(3) AS thing, then FROM '...' and nothing after it"
)


class Message(NamedTuple):
    """A message that a rule publishes."""

    topic: str
    payload: bytes
    qos: int


class ActionFailed(NamedTuple):
    """Why one action of a rule did nothing, in a sentence that says what to change."""

    reason: str


class _UndefinedError(Exception):
    """An expression has no value for this message."""


@dataclass(frozen=True, slots=True)
class Republish:
    """The republish action: `topic` is a template, `qos` 0 or 1."""

    topic: str
    qos: int

    def run(self, source: str, payload: bytes) -> Message | ActionFailed:
        try:
            topic = _SUBSTITUTION.sub(lambda found: _level(found[1], source), self.topic)
        except _UndefinedError as error:
            return ActionFailed(f"{error}, so the topic {self.topic!r} has no value")
        if topic.startswith("$$"):
            return Message(topic[1:], payload, self.qos)
        if topic.startswith("$"):
            return ActionFailed(
                f"a rule cannot republish to {topic!r}: a reserved topic is written with a second $, "
                f"as {'$' + self.topic!r}"
            )
        return Message(topic, payload, self.qos)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `columns` are what SELECT adds to the payload: a name, and topic()'s argument as written."""

    name: str
    topic_filter: str
    columns: tuple[tuple[str, str], ...]
    actions: tuple[Republish, ...]
    enabled: bool = True

    def run(self, topic: str, payload: bytes) -> list[Message | ActionFailed]:
        """Return what the rule does with a message: nothing, unless its filter matches the topic."""
        if not self.enabled or not matches(self.topic_filter, topic):
            return []
        try:
            selected = self._select(topic, payload)
        except (_UndefinedError, ValueError) as error:
            return [ActionFailed(str(error))]
        return [action.run(topic, selected) for action in self.actions]

    def _select(self, topic: str, payload: bytes) -> bytes:
        if not self.columns:
            return payload
        document = json.loads(payload)
        if not isinstance(document, dict):
            raise _UndefinedError(f"the payload is no JSON object, so {self.columns[0][0]} cannot be added")
        document |= {name: _level(level, topic) for name, level in self.columns}
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def load_rule(path: Path) -> Rule:
    """Read a rule; its name is the file's, without `rule-`. Raises EmulatorError where it cannot be used."""
    try:
        document = json.loads(path.read_bytes())
    except ValueError as error:
        raise EmulatorError(f"{path} is not JSON: {error}", hint="mend the file") from error
    return parse_rule(path.stem.removeprefix("rule-"), document)


def parse_rule(name: str, document: Any) -> Rule:
    """Read a topic rule payload (https://docs.aws.amazon.com/iot/latest/apireference/API_TopicRulePayload.html).

    Raises EmulatorError where AWS would refuse it, or where this cloud knows less than AWS.
    """
    if not isinstance(document, dict) or not isinstance(document.get("sql"), str):
        raise EmulatorError(f"rule {name}: there is no sql", hint="see config/aws/rule-presence.json")
    topic_filter, columns = _parse_sql(name, document["sql"])
    actions = document.get("actions")
    if not isinstance(actions, list) or not actions:
        raise EmulatorError(f"rule {name}: there are no actions", hint="see config/aws/rule-presence.json")
    republish = tuple(_parse_action(name, action) for action in actions)
    return Rule(name, topic_filter, columns, republish, enabled=not document.get("ruleDisabled", False))


def _parse_sql(name: str, sql: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    parts = _SQL.fullmatch(sql)
    if not parts or parts["rest"]:
        raise EmulatorError(f"rule {name}: cannot read the SQL {sql!r}", hint=_SQL_HINT)
    star, *more = (column.strip() for column in parts["columns"].split(","))
    columns = [_COLUMN.fullmatch(column) for column in more]
    if star != "*" or None in columns:
        raise EmulatorError(f"rule {name}: cannot select {parts['columns']!r}", hint=_SQL_HINT)
    return parts["filter"], tuple((column["name"], column["level"]) for column in columns if column)


def _parse_action(name: str, action: Any) -> Republish:
    if not isinstance(action, dict) or list(action) != ["republish"]:
        raise EmulatorError(
            f"rule {name}: cannot run the action {action!r}", hint="the emulator knows republish only"
        )
    arguments = action["republish"]
    missing = {"topic", "roleArn"} - set(arguments)
    if missing:
        raise EmulatorError(f"rule {name}: republish lacks {' and '.join(sorted(missing))}", hint="add it")
    qos = arguments.get("qos", 0)
    if qos not in (0, 1):
        raise EmulatorError(f"rule {name}: qos {qos!r}", hint="AWS IoT Core knows 0 and 1")
    if "${" in _SUBSTITUTION.sub("", arguments["topic"]):
        raise EmulatorError(
            f"rule {name}: cannot substitute all of {arguments['topic']!r}",
            hint="the emulator knows ${topic()} and ${topic(3)}",
        )
    return Republish(arguments["topic"], qos)


def _level(written: str, topic: str) -> str:
    """Evaluate topic() or topic(n); n counts from 1.

    https://docs.aws.amazon.com/iot/latest/developerguide/iot-sql-functions.html#iot-function-topic
    """
    if not written:
        return topic
    levels = topic.split("/")
    if not 1 <= int(written) <= len(levels):
        raise _UndefinedError(f"topic({written}) is undefined for {topic!r}")
    return levels[int(written) - 1]


def matches(topic_filter: str, topic: str) -> bool:
    """Tell whether an MQTT topic filter matches a topic (MQTT 5, 4.7)."""
    wanted, levels = topic_filter.split("/"), topic.split("/")
    if topic.startswith("$") and wanted[0] != levels[0]:
        return False
    for n, want in enumerate(wanted):
        if want == "#":
            return True
        if n == len(levels) or want not in ("+", levels[n]):
            return False
    return len(wanted) == len(levels)
