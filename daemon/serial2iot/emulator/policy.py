"""AWS IoT Core policies: what a client may do. Pure.

Rules (IoT developer guide, "AWS IoT Core policies", "AWS IoT Core action resources", "Using wildcard characters in
MQTT and AWS IoT Core policies", "Thing policy variables"; IAM, "Policy evaluation logic"):

1. What no statement allows is denied; an explicit Deny wins over every Allow.
2. In a resource `*` stands for any characters, `/` included, and `?` for one. MQTT's `+` and `#` are
   characters like any other.
3. A variable is replaced by its value, in which nothing is a wildcard. Without a value the statement does not apply.
4. iot:Publish, iot:RetainPublish and iot:Receive are asked for `topic/...`, iot:Subscribe for `topicfilter/...`,
   iot:Connect for `client/...`.
5. What is not understood is an error when the policy is read, never when somebody connects.

Partition, region and account of a resource are not looked at: this cloud has none.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from serial2iot.errors import EmulatorError

_ACTIONS = frozenset(
    {"iot:Connect", "iot:Publish", "iot:RetainPublish", "iot:Subscribe", "iot:Receive", "iot:*", "*"}
)
_CHARACTERS = {"*": "*", "?": "?", "$": "$"}  # ${*}, ${?}, ${$}
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_TOKEN = re.compile(r"\$\{([^}]*)\}|([*?])")


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks. `thing` is the one its certificate belongs to, if any."""

    client_id: str
    thing: str | None

    def variables(self) -> dict[str, str]:
        """Return what the policy variables stand for."""
        known = {"iot:ClientId": self.client_id, "iot:Connection.Thing.IsAttached": "false"}
        if self.thing is not None:
            known |= {"iot:Connection.Thing.ThingName": self.thing, "iot:Connection.Thing.IsAttached": "true"}
        return known


_VARIABLES = frozenset(Client("", "").variables()) | _CHARACTERS.keys()


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `conditions` are pairs of a variable and the value it must have."""

    sid: str
    allow: bool
    actions: frozenset[str]
    resources: tuple[str, ...]
    conditions: tuple[tuple[str, str], ...] = ()

    def patterns(self, variables: dict[str, str]) -> list[re.Pattern[str]]:
        """Return what the resources match for a client: nothing where a condition fails."""
        if any(variables.get(name) != value for name, value in self.conditions):
            return []
        compiled = (_compile(resource, variables) for resource in self.resources)
        return [pattern for pattern in compiled if pattern]

    def covers(self, action: str) -> bool:
        """Tell whether it speaks of an action."""
        return not self.actions.isdisjoint((action, "iot:*", "*"))


@dataclass(frozen=True)
class Policy:
    """A policy document."""

    statements: tuple[Statement, ...]

    def without(self, sid: str) -> Policy:
        """Return the policy without one statement. Raises KeyError if there is none of this name."""
        left = tuple(statement for statement in self.statements if statement.sid != sid)
        if left == self.statements:
            raise KeyError(sid)
        return replace(self, statements=left)

    def for_client(self, client: Client) -> Permissions:
        """Return what one client may do."""
        return Permissions(self, client)


@dataclass(frozen=True)
class Permissions:
    """A policy as it applies to one client. Each answer is found once and then remembered."""

    policy: Policy
    client: Client
    _answers: dict[tuple[str, str], bool] = field(default_factory=dict)

    def allow(self, action: str, resource: str) -> bool:
        """Tell whether the client may; `resource` is `topic/...`, `topicfilter/...` or `client/...`."""
        known = self._answers.get((action, resource))
        if known is None:
            known = self._answers[action, resource] = self._evaluate(action, resource)
        return known

    @cached_property
    def _statements(self) -> list[tuple[Statement, list[re.Pattern[str]]]]:
        variables = self.client.variables()
        return [(statement, statement.patterns(variables)) for statement in self.policy.statements]

    def _evaluate(self, action: str, resource: str) -> bool:
        effects = {
            statement.allow
            for statement, patterns in self._statements
            if statement.covers(action) and any(pattern.fullmatch(resource) for pattern in patterns)
        }
        return effects == {True}


def load_policy(path: Path) -> Policy:
    """Read a policy document. Raises EmulatorError where it cannot be used."""
    try:
        document = json.loads(path.read_bytes())
    except ValueError as error:
        raise EmulatorError(f"{path} is not JSON: {error}", hint="mend the file") from error
    return parse_policy(document)


def parse_policy(document: Any) -> Policy:
    """Read what `aws iot create-policy --policy-document` takes. Raises EmulatorError where it cannot be used."""
    statements = document.get("Statement") if isinstance(document, dict) else None
    if not statements:
        raise EmulatorError("the policy has no Statement", hint="see config/aws/policy.json")
    return Policy(tuple(_parse_statement(statement) for statement in _listed(statements)))


def _parse_statement(statement: Any) -> Statement:
    sid = str(statement.get("Sid", ""))
    unknown = statement.keys() - {"Sid", "Effect", "Action", "Resource", "Condition"}
    if unknown or statement.get("Effect") not in ("Allow", "Deny"):
        raise EmulatorError(
            f"policy statement {sid!r}: cannot read {sorted(unknown) or statement.get('Effect')}",
            hint="a statement has Effect (Allow or Deny), Action, Resource, and may have Sid and Condition",
        )
    actions = frozenset(_listed(statement.get("Action")))
    if not actions or not actions <= _ACTIONS:
        raise EmulatorError(
            f"policy statement {sid!r}: the emulator does not know {sorted(actions - _ACTIONS)}",
            hint=f"it knows {', '.join(sorted(_ACTIONS))}",
        )
    resources = tuple(_parse_resource(sid, arn) for arn in _listed(statement.get("Resource")))
    conditions = tuple(_parse_conditions(sid, statement.get("Condition", {})))
    return Statement(sid, statement["Effect"] == "Allow", actions, resources, conditions)


def _parse_resource(sid: str, arn: str) -> str:
    """Return what comes after the account."""
    parts = arn.split(":", 5)
    if arn != "*" and (len(parts) < 6 or parts[0] != "arn" or parts[2] != "iot"):
        raise EmulatorError(
            f"policy statement {sid!r}: {arn!r} is no resource of AWS IoT",
            hint="such as arn:aws:iot:REGION:ACCOUNT:topic/my/things/RPI/update, or *",
        )
    for name in _VARIABLE.findall(arn):
        if name not in _VARIABLES:
            raise EmulatorError(
                f"policy statement {sid!r}: the emulator does not know ${{{name}}}",
                hint=f"it knows {', '.join(sorted(_VARIABLES))}",
            )
    return parts[-1]


def _parse_conditions(sid: str, conditions: dict[str, dict[str, str]]) -> list[tuple[str, str]]:
    found = []
    for operator, pairs in conditions.items():
        for name, value in pairs.items():
            if (
                operator not in ("Bool", "StringEquals")
                or name not in _VARIABLES
                or not isinstance(value, str)
            ):
                raise EmulatorError(
                    f"policy statement {sid!r}: cannot decide {operator} of {name}",
                    hint="the emulator knows Bool and StringEquals, of the variables that a resource may have",
                )
            found.append((name, value))
    return found


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _compile(resource: str, variables: dict[str, str]) -> re.Pattern[str] | None:
    values = variables | _CHARACTERS
    if any(name not in values for name in _VARIABLE.findall(resource)):
        return None
    expression, end = "", 0
    for found in _TOKEN.finditer(resource):
        expression += re.escape(resource[end : found.start()])
        expression += re.escape(values[found[1]]) if found[1] else {"*": ".*", "?": "."}[found[2]]
        end = found.end()
    return re.compile(expression + re.escape(resource[end:]), re.DOTALL)


EVERYTHING = parse_policy(
    {"Statement": {"Sid": "Everything", "Effect": "Allow", "Action": "iot:*", "Resource": "*"}}
)
"""For a test that is about something else."""
