"""What the wire tests share: options out of TOML, a pipeline fed at once, and what came of it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from serial2iot.port.options import PortOptions
from serial2iot.wire.frame import BadFrame, Framer, Outcome
from serial2iot.wire.options import (
    ChecksumOptions,
    FieldOptions,
    LengthOptions,
    WireOptions,
    byte_string,
)
from serial2iot.wire.pipeline import Pipeline
from serial2iot.wire.rules import check

EXAMPLES = Path(__file__).parents[3] / "config" / "examples"

_BYTES = {"delimiter", "start", "end"}
_PORT = set(PortOptions.__dataclass_fields__)


def wire_options(table: dict[str, Any]) -> WireOptions:
    """A `[[serial]]` table's wire part, checked. The shortest way there; the real one is settings."""
    keys = {key: value for key, value in table.items() if key not in _PORT}
    for key in _BYTES & keys.keys():
        keys[key] = byte_string(keys[key])
    if "checksum" in keys:
        inner = dict(keys["checksum"])
        if "after" in inner:
            inner["after"] = byte_string(inner["after"])
        keys["checksum"] = ChecksumOptions(**inner)
    if "length" in keys:
        keys["length"] = LengthOptions(**keys["length"])
    if "regex" in keys:
        keys["regex"] = (keys["regex"],) if isinstance(keys["regex"], str) else tuple(keys["regex"])
    if "names" in keys:
        keys["names"] = tuple(keys["names"])
    keys["fields"] = tuple(FieldOptions(**entry) for entry in keys.get("fields", ()))
    for key in {"keep", "text_keys"} & keys.keys():
        keys[key] = frozenset(keys[key])
    options = WireOptions(**keys)
    check(options)
    return options


def example(name: str) -> WireOptions:
    """The one `[[serial]]` of a profile in config/examples."""
    (table,) = tomllib.loads((EXAMPLES / name).read_text())["serial"]
    return wire_options(table)


def carried(pipeline: Pipeline, data: bytes, now: float = 0.0) -> list[Any]:
    """What the bytes gave: values of each reading, then the reasons of bad frames."""
    bodies, bad = pipeline.feed(data, now)
    return [*map(json.loads, bodies), *(frame.reason for frame in bad)]


def framed(framer: Framer, *chunks: bytes, now: float = 0.0) -> list[Outcome | tuple[str, int]]:
    """Frames, and bad frames as (reason, size), of chunks that all come at the same time."""
    outcomes: list[Outcome | tuple[str, int]] = []
    for chunk in chunks:
        fed = framer.feed(chunk, now)
        outcomes += [each[:2] if isinstance(each, BadFrame) else each for each in fed]
    return outcomes
