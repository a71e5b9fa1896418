"""`SERIAL2IOT_*`: which names there are, and what they say.

pydantic-settings passes over a name that it does not know, so a misspelt one would silently have no effect; here
it is an error. `SERIAL2IOT_SERIAL` holds all ports at once, as JSON; every other key has a variable of its own.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_settings import EnvSettingsSource

from serial2iot.config_file import Place
from serial2iot.errors import ConfigError
from serial2iot.settings.tables import Tree

PREFIX = "SERIAL2IOT_"
SERIAL = "SERIAL2IOT_SERIAL"
ELSEWHERE = frozenset({"SERIAL2IOT_CONFIG", "SERIAL2IOT_BOOT_ID"})  # read by `cli` and `host.clock`

UNREADABLE = object()
"""Stands for a value that cannot be judged any further; its problem is told."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the environment says, as the file would; by which variables; and what is wrong with it."""

    values: Mapping[str, Any]
    places: Mapping[str, Place]
    problems: list[ConfigError]

    def variable(self, place: Place) -> str:
        """The variable that set what stands at a place; empty where none did."""
        return next((name for name, sets in self.places.items() if place[: len(sets)] == sets), "")


def read(environ: Mapping[str, str]) -> Given:
    """Take what is ours from an environment."""
    known = _variables()
    mine = {
        name: value for name, value in environ.items() if name.startswith(PREFIX) and name not in ELSEWHERE
    }
    problems = [_unknown(name, known) for name in mine if name not in known]
    source = EnvSettingsSource(Tree)
    source.env_vars = {
        name.lower(): value for name, value in mine.items() if name in known and name != SERIAL
    }
    values = source()
    if SERIAL in mine:
        values["serial"] = _ports(mine[SERIAL], problems)
    return Given(values, {name: place for name, place in known.items() if name in mine}, problems)


def _variables() -> dict[str, Place]:
    """Every variable that sets something, and what it sets."""
    names: dict[str, Place] = {SERIAL: ("serial",)}
    for table, field in Tree.model_fields.items():
        for key in getattr(field.annotation, "model_fields", ()):
            names[f"{PREFIX}{table}__{key}".upper()] = (table, key)
    return names


def _unknown(name: str, known: Mapping[str, Place]) -> ConfigError:
    near = (
        [SERIAL] if name.startswith(f"{SERIAL}_") else difflib.get_close_matches(name.upper(), known, 1, 0.8)
    )
    hint = (
        f"Did you mean {near[0]}?"
        if near
        else "Their names are SERIAL2IOT_TABLE__KEY: SERIAL2IOT_MQTT__PORT."
    )
    return ConfigError("is no variable of serial2iot", where=name, hint=hint)


def _ports(text: str, problems: list[ConfigError]) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        hint = 'It holds all ports: [{"name": "arduino", "device": "/dev/ttyACM0"}]'
        problems.append(ConfigError(f"is not JSON: {error}", where=SERIAL, hint=hint))
        return UNREADABLE
