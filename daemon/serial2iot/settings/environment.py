"""`SERIAL2IOT_*`: which names there are, and what they say.

pydantic-settings passes over a name that it does not know, so a misspelt one would be silently without effect;
here it is an error. `SERIAL2IOT_SERIAL` holds all ports at once, as JSON; every other key has its own variable.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_settings import EnvSettingsSource

from serial2iot.config_file import Place
from serial2iot.errors import ConfigError
from serial2iot.settings.tables import Tree

PREFIX = "SERIAL2IOT_"
SERIAL = "SERIAL2IOT_SERIAL"
ELSEWHERE = frozenset({"SERIAL2IOT_CONFIG", "SERIAL2IOT_BOOT_ID"})  # read by cli and host.clock


def variables() -> dict[str, Place]:
    """Every variable that sets something, and what it sets."""
    names: dict[str, Place] = {SERIAL: ("serial",)}
    for table, field in Tree.model_fields.items():
        for key in getattr(field.annotation, "model_fields", ()):
            names[f"{PREFIX}{table}__{key}".upper()] = (table, key)
    return names


def given(environ: Mapping[str, str]) -> tuple[dict[str, str], list[ConfigError]]:
    """The variables that set something, and what is wrong with the rest of ours."""
    known, mine = variables(), {name: value for name, value in environ.items() if name.startswith(PREFIX)}
    problems = [_unknown(name, known) for name in mine if name not in known and name not in ELSEWHERE]
    values = {name: value for name, value in mine.items() if name in known}
    problems += _bad_json(values)
    return {name: value for name, value in values.items() if not (problems and name == SERIAL)}, problems


def values(given: Mapping[str, str]) -> dict[str, Any]:
    """What they say, as the file would."""
    source = EnvSettingsSource(Tree)
    source.env_vars = {name.lower(): value for name, value in given.items()}
    return source()


def _unknown(name: str, known: Mapping[str, Place]) -> ConfigError:
    near = difflib.get_close_matches(name.upper(), known, 1, 0.8)
    if name.startswith(f"{SERIAL}_"):
        near = [SERIAL]
    hint = (
        f"Did you mean {near[0]}?"
        if near
        else "The names are SERIAL2IOT_TABLE__KEY, as in SERIAL2IOT_MQTT__PORT."
    )
    return ConfigError("is no variable of serial2iot", where=name, hint=hint)


def _bad_json(values: Mapping[str, str]) -> Iterator[ConfigError]:
    try:
        json.loads(values.get(SERIAL, "[]"))
    except ValueError as error:
        hint = 'It holds all ports: [{"name": "arduino", "device": "/dev/ttyACM0"}]'
        yield ConfigError(f"is not JSON: {error}", key="serial", where=SERIAL, hint=hint)
