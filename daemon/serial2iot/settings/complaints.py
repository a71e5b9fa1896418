"""From pydantic's errors to sentences for a person, and from all of them to one error."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from serial2iot.config_file import Place
from serial2iot.errors import ConfigError
from serial2iot.settings.serial_table import SERIAL_MODEL
from serial2iot.settings.tables import Tree
from serial2iot.settings.values import OURS, shown


class Problem(NamedTuple):
    """Where something is wrong, in the document's words, and what."""

    place: Place
    error: ConfigError


# The beginning of pydantic's name for an error, and what we say instead: for the kinds of values that our tables
# have. Anything else falls back on pydantic's own words.
_SENTENCES = (
    ("missing", "is missing"),
    ("int", "must be a whole number, not {value}"),
    ("finite_number", "must be a finite number, not {value}"),
    ("float", "must be a number, not {value}"),
    ("bool", "must be true or false, not {value}"),
    ("string_too_short", "cannot be empty"),
    ("string", "must be text in quotes, not {value}"),
    ("path", "must be text in quotes, not {value}"),
    ("model", "must be a table, not {value}"),
    ("dict", "must be a table, not {value}"),
    ("tuple", "must be a list, not {value}"),
    ("frozen_set", "must be a list, not {value}"),
    ("literal_error", "cannot be {value}; allowed: {expected}"),
)


def problems_in(table: str, error: ValidationError) -> Iterator[Problem]:
    """What the validation of one table found."""
    for detail in error.errors(include_url=False):
        place = (table, *detail["loc"])
        if detail["type"] == OURS:
            for problem in detail["ctx"]["problems"]:
                yield Problem((*place, *filter(None, problem.key.split("."))), problem)
        elif detail["type"] == "extra_forbidden":
            yield unknown_key(place)
        else:
            yield Problem(place, _in_words(place, detail))


def _in_words(place: Place, detail: ErrorDetails) -> ConfigError:
    if place == ("serial",):
        return ConfigError(
            "must be a list of tables", hint="Write [[serial]], with two brackets on each side."
        )
    sentence = next((words for kind, words in _SENTENCES if detail["type"].startswith(kind)), detail["msg"])
    expected = str(detail.get("ctx", {}).get("expected", "")).replace("'", '"')
    hint = _did_you_mean(str(detail["input"]), expected.replace(" or ", ", ").replace('"', "").split(", "))
    return ConfigError(sentence.format(value=shown(detail["input"]), expected=expected), hint=hint)


def unknown_key(place: Place) -> Problem:
    """A key or table that does not exist, with the one that may have been meant."""
    *around, key = place
    allowed = sorted(_keys_at(tuple(around)))
    hint = _did_you_mean(str(key), allowed) or _belongs_to(str(key))
    kind = "key" if around else "table"
    return Problem(
        place, ConfigError(f"is no {kind} of serial2iot; allowed: {', '.join(allowed)}", hint=hint)
    )


def _did_you_mean(word: str, words: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(words), 1, 0.7)
    return f"Did you mean {near[0]}?" if near else ""


def _belongs_to(key: str) -> str:
    tables = [
        f"[[{name}]]" if name == "serial" else f"[{name}]"
        for name in Tree.model_fields
        if key in _keys_at((name,))
    ]
    return f"It belongs under {tables[0]}." if tables else ""


def _keys_at(place: Place) -> Iterable[str]:
    """The keys that a place in the document may have."""
    model: Any = Tree
    for step in place:
        if isinstance(step, str):
            model = SERIAL_MODEL if step == "serial" else _model_in(model.model_fields[step].annotation)
    return model.model_fields if model else ()


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for each in get_args(annotation) if (model := _model_in(each))), None)


def as_one(problems: Iterable[Problem], where: Callable[[Place], str]) -> ConfigError:
    """All problems in one error, in the order of the file: each knows its place, and the message has them all."""
    for place, error in problems:
        error.key = _dotted(place)
        error.where = error.where or where(place)
    found = tuple(sorted((error for _, error in problems), key=_in_order))
    if len(found) == 1:
        (only,) = found
        return ConfigError(_line(only), key=only.key, where=only.where, hint=only.hint, problems=found)
    lines = [f"{len(found)} things are wrong with the configuration"]
    for error in found:
        lines.append(_line(error))
        lines += [f"    {error.hint}"] if error.hint else []
    return ConfigError("\n".join(lines), problems=found)


def _in_order(error: ConfigError) -> tuple[str, int]:
    file, _, line = error.where.rpartition(":")
    return (file, int(line)) if line.isdigit() else (error.where, 0)


def _line(error: ConfigError) -> str:
    return ": ".join(filter(None, (error.where, error.key, str(error))))


def _dotted(place: Place) -> str:
    """`serial[0].checksum.kind`"""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")
