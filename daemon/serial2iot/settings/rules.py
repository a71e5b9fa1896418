"""What only several tables together can get wrong. A rule runs when the tables it needs are right by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from serial2iot.cloud import credentials, topics
from serial2iot.errors import ConfigError
from serial2iot.settings.complaints import Problem
from serial2iot.settings.result import PortSettings
from serial2iot.settings.tables import (
    LONGEST_CLIENT_ID,
    BufferTable,
    MqttTable,
    PresenceTable,
    TelemetryTable,
    ThingTable,
)
from serial2iot.settings.values import size_text

Ports = tuple[PortSettings, ...]


def broken(tables: Mapping[str, Any]) -> Iterator[Problem]:
    """Every rule that these tables break."""
    for needs, rule in _RULES:
        if all(name in tables for name in needs):
            yield from rule(*(tables[name] for name in needs))


def _some_port(ports: Ports) -> Iterator[Problem]:
    if not ports:
        hint = '[[serial]] with name = "arduino" and device = "/dev/ttyACM0"'
        yield Problem(("serial",), ConfigError("there is no port to read", hint=hint))


def _ports_differ(ports: Ports) -> Iterator[Problem]:
    seen: dict[object, str] = {}
    for at, each in enumerate(ports):
        name, line = each.port.name, each.port.device or each.port.match
        if name in seen:
            hint = "A port's name keeps its readings apart from those of the others."
            yield Problem(
                ("serial", at, "name"), ConfigError(f'"{name}" is taken by another port', hint=hint)
            )
        elif line in seen:
            key = "device" if each.port.device else "match"
            what = f'is the same as that of port "{seen[line]}"; one line can be read once'
            yield Problem(("serial", at, key), ConfigError(what))
        seen.setdefault(name, name)
        seen.setdefault(line, name)


def _key_fits(mqtt: MqttTable) -> Iterator[Problem]:
    try:
        credentials.check_pair(mqtt.certificate, mqtt.private_key)
    except ConfigError as error:
        yield Problem(("mqtt", "private_key"), error)


def _client_id_fits(thing: ThingTable, mqtt: MqttTable) -> Iterator[Problem]:
    size = len(topics.fill(mqtt.client_id, thing=thing.name).encode())
    if size > LONGEST_CLIENT_ID:
        what = f"has {size} bytes with the thing's name; allowed: up to {LONGEST_CLIENT_ID}"
        yield Problem(("mqtt", "client_id"), ConfigError(what, hint='"{thing}" alone always fits.'))


def _presence_topic(thing: ThingTable, presence: PresenceTable) -> Iterator[Problem]:
    try:
        topics.check(topics.fill(presence.topic, thing=thing.name), telemetry=False)
    except ConfigError as error:
        yield Problem(("presence", "topic"), error)


def _telemetry_topics(thing: ThingTable, telemetry: TelemetryTable, ports: Ports) -> Iterator[Problem]:
    """Of every port; one problem is told once, for the first port that has it."""
    for each in ports:
        try:
            topics.check(topics.fill(telemetry.topic, thing=thing.name, port=each.port.name), telemetry=True)
        except ConfigError as error:
            yield Problem(("telemetry", "topic"), error)
            return


def _topics_differ(
    thing: ThingTable, presence: PresenceTable, telemetry: TelemetryTable, ports: Ports
) -> Iterator[Problem]:
    said = topics.fill(presence.topic, thing=thing.name)
    if any(topics.fill(telemetry.topic, thing=thing.name, port=each.port.name) == said for each in ports):
        hint = "The rule that keeps the shadow would write every reading into it."
        yield Problem(("telemetry", "topic"), ConfigError(f'"{said}" is presence.topic already', hint=hint))


def _memory_fits(buffer: BufferTable) -> Iterator[Problem]:
    if buffer.memory_max_bytes > buffer.max_bytes:
        memory, disk = size_text(buffer.memory_max_bytes), size_text(buffer.max_bytes)
        what = f"{memory} is more than buffer.max_bytes; allowed: up to {disk}"
        yield Problem(
            ("buffer", "memory_max_bytes"), ConfigError(what, hint="What is in memory must fit on the disk.")
        )


_RULES: tuple[tuple[tuple[str, ...], Callable[..., Iterator[Problem]]], ...] = (
    (("serial",), _some_port),
    (("serial",), _ports_differ),
    (("mqtt",), _key_fits),
    (("thing", "mqtt"), _client_id_fits),
    (("thing", "presence"), _presence_topic),
    (("thing", "telemetry", "serial"), _telemetry_topics),
    (("thing", "presence", "telemetry", "serial"), _topics_differ),
    (("buffer",), _memory_fits),
)
