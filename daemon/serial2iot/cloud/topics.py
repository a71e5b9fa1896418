"""Topics: filled in from templates, and refused before AWS IoT Core would refuse them. Pure.

AWS cuts the connection for a topic it does not accept and says nothing, so each rule is checked before the first
connection:

1. 256 bytes of UTF-8 and seven slashes at most (AWS General Reference, "AWS IoT Core endpoints and quotas",
   message broker; https://docs.aws.amazon.com/general/latest/gr/iot-core.html#limits_iot).
2. A topic that begins with `$` belongs to AWS (IoT developer guide, "Reserved topics"). The one family that a
   device may use for its own data is Basic Ingest, `$aws/rules/<rule name>/...`; this prefix counts neither as
   bytes nor as slashes (IoT developer guide, "Reducing messaging costs with Basic Ingest").
3. A message is published to a topic name, and only filters have wildcards (MQTT 5.0, 4.7.1); no NUL (4.7.3), and
   no control characters, which brokers may answer by closing the connection (1.5.4).
"""

from __future__ import annotations

import re
import unicodedata

from serial2iot.errors import ConfigError

MAX_BYTES = 256
MAX_SLASHES = 7

_PLACEHOLDER = re.compile(r"\{[^{}]*\}|[{}]")
_BASIC_INGEST = re.compile(r"\$aws/rules/[A-Za-z0-9_]+/(?=.)")  # AWS IoT API, CreateTopicRule: ruleName


def fill(template: str, **names: str) -> str:
    """The template with each `{name}` replaced. Raises ConfigError for any other brace."""

    def value(found: re.Match[str]) -> str:
        name = found[0][1:-1]
        if name in names:
            return names[name]
        known = " and ".join(f"{{{name}}}" for name in names)
        raise ConfigError(
            f'"{template}" has {found[0]}, which stands for nothing here',
            hint=f"What is filled in here: {known}.",
        )

    return _PLACEHOLDER.sub(value, template)


def check(topic: str, *, telemetry: bool) -> None:
    """Raise ConfigError, with the rule and the remedy, where AWS would refuse a PUBLISH to this topic.

    `telemetry` admits Basic Ingest. Presence may not use it: what becomes of `connected` must be seen by the
    broker, which keeps the last will.
    """
    if not topic:
        raise ConfigError("a topic cannot be empty", hint="my/things/{thing}/telemetry is a good one.")
    _check_characters(topic)
    counted = _counted_part(topic, telemetry=telemetry)
    if (slashes := counted.count("/")) > MAX_SLASHES:
        raise ConfigError(
            f'"{topic}" has {slashes} slashes; AWS takes {MAX_SLASHES} at most',
            hint="Join some of its levels.",
        )
    if (size := len(counted.encode())) > MAX_BYTES:
        raise ConfigError(
            f'"{topic}" has {size} bytes; AWS takes {MAX_BYTES} at most',
            hint="Shorten it, or the names in it.",
        )


def _check_characters(topic: str) -> None:
    for character in topic:
        if character in "+#":
            raise ConfigError(
                f'"{topic}" has the wildcard {character}; a message goes to one topic',
                hint="Wildcards belong into the rule's FROM clause, not into the topic of a message.",
            )
        if unicodedata.category(character) in ("Cc", "Cs", "Cn"):
            raise ConfigError(
                f"{topic!a} has the character U+{ord(character):04X}, which a topic cannot have",
                hint="Use letters, digits, - and _ between the slashes.",
            )


def _counted_part(topic: str, *, telemetry: bool) -> str:
    if not topic.startswith("$"):
        return topic
    if not telemetry:
        raise ConfigError(
            f'"{topic}" is reserved by AWS, whose shadow service ignores last wills on such topics',
            hint="Use a plain topic (my/things/{thing}/update) and a rule that republishes it to the shadow.",
        )
    prefix = _BASIC_INGEST.match(topic)
    if not prefix:
        raise ConfigError(
            f'"{topic}" is reserved by AWS; allowed: $aws/rules/<rule name>/<topic>, or a topic without $',
            hint="my/things/{thing}/telemetry is a good one.",
        )
    return topic[prefix.end() :]
