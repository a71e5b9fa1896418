"""`load`: the file and the environment, judged table by table, so that one run finds every problem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from serial2iot import config_file
from serial2iot.cloud import credentials, topics
from serial2iot.cloud.options import PresenceOptions, SessionOptions, TelemetryOptions
from serial2iot.errors import ConfigError
from serial2iot.host.logs import LogOptions
from serial2iot.settings import environment, rules
from serial2iot.settings.advice import warnings
from serial2iot.settings.complaints import Problem, as_one, problems_in, unknown_key
from serial2iot.settings.result import Settings
from serial2iot.settings.tables import Tree
from serial2iot.spool.contract import SpoolOptions


def load(path: Path, environ: Mapping[str, str], now: datetime | None = None) -> Settings:
    """Read and check the configuration, the credentials it names included.

    A file name in it that does not begin with / is taken from the folder of the configuration. `now` (aware)
    decides what is said of the certificate's dates. Raises ConfigError, with all that is wrong in `problems`.
    """
    path = path.absolute()
    try:
        file = config_file.read(path)
    except ConfigError as error:
        raise as_one([Problem((), error)], lambda _: str(path)) from None
    given = environment.read(environ)
    tables: dict[str, Any] = {}
    problems = [Problem((), error) for error in given.problems]
    problems += _validate(_merged(file.document, given.values), path.parent, tables)
    problems += rules.broken(tables)
    if problems:
        raise as_one(problems, lambda place: given.variable(place) or file.where(place))
    return _settings(path, Tree.model_construct(**tables), now or datetime.now(UTC))


def _merged(document: Mapping[str, Any], environment: Mapping[str, Any]) -> dict[str, Any]:
    """The environment over the file, key by key; a list is replaced as a whole."""
    merged = {name: () if name == "serial" else {} for name in Tree.model_fields} | dict(document)
    for name, said in environment.items():
        table = merged[name]
        merged[name] = {**table, **said} if isinstance(table, dict) and isinstance(said, dict) else said
    return merged


def _validate(merged: Mapping[str, Any], folder: Path, tables: dict[str, Any]) -> Iterator[Problem]:
    """Fill `tables` with those that are right, and yield what is wrong with the others."""
    for name, said in merged.items():
        if name not in Tree.model_fields:
            yield unknown_key((name,))
            continue
        if said is environment.UNREADABLE:
            continue
        kind: Any = Tree.model_fields[name].annotation
        try:
            tables[name] = TypeAdapter(kind).validate_python(said, context=folder)
        except ValidationError as error:
            yield from problems_in(name, error)


def _settings(path: Path, tree: Tree, now: datetime) -> Settings:
    thing, mqtt, telemetry = tree.thing.name, tree.mqtt, tree.telemetry
    session = SessionOptions(
        endpoint=mqtt.endpoint,
        client_id=topics.fill(mqtt.client_id, thing=thing),
        certificate=mqtt.certificate,
        private_key=mqtt.private_key,
        root_ca=mqtt.root_ca,
        port=mqtt.port,
        keep_alive_s=mqtt.keep_alive_s,
        session_expiry_s=mqtt.session_expiry_s,
    )
    telemetry_options = TelemetryOptions(
        thing=thing,
        topic=topics.fill(telemetry.topic, thing=thing, port="{port}"),
        layout=telemetry.layout,
        max_readings=telemetry.max_readings,
        max_bytes=telemetry.max_bytes,
        max_age_s=telemetry.max_age_s,
        limits=mqtt.limits,
    )
    spool = SpoolOptions(**dict(tree.buffer))
    validity = credentials.validity(mqtt.certificate)
    return Settings(
        path=path,
        thing=thing,
        session=session,
        presence=PresenceOptions(thing=thing, topic=topics.fill(tree.presence.topic, thing=thing)),
        telemetry=telemetry_options,
        ports=tree.serial,
        spool=spool,
        log=LogOptions(**dict(tree.log)),
        credentials=validity,
        warnings=tuple(warnings(session, telemetry_options, spool, validity, now)),
    )
