"""The kinds of values a key may have, and the sentences for those it may not.

pydantic's own sentences are for programmers. Ours are ConfigErrors that travel inside a pydantic error and are
taken out again in `complaints`; their `key`, if any, is relative to the place where they arose.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from serial2iot.errors import ConfigError

OURS = "serial2iot"
"""The type of a pydantic error that carries ConfigErrors in `ctx["problems"]`."""

Value = TypeVar("Value")

_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.IGNORECASE)
_LONGEST_SHOWN = 60


def wrong(*problems: ConfigError) -> PydanticCustomError:
    """What a validator raises."""
    return PydanticCustomError(OURS, "see its problems", {"problems": problems})


def shown(value: object) -> str:
    """A value as the file has it, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def sentenced(judge: Callable[[Any], Value]) -> Callable[[Any], Value]:
    """A validator from a function that raises ConfigError."""

    def validate(value: Any) -> Value:
        try:
            return judge(value)
        except ConfigError as error:
            raise wrong(error) from None

    return validate


def _no_bool(value: Any) -> Any:
    """Python takes true for 1; a person who writes `keep_alive_s = true` means something else."""
    if isinstance(value, bool):
        raise ConfigError(f"must be a number, not {shown(value)}")
    return value


def size_in_bytes(value: Any) -> Any:
    """Bytes from `67108864` or `"64 MiB"`. Raises ConfigError for another unit."""
    if not isinstance(value, str):
        return _no_bool(value)
    found = _SIZE.fullmatch(value.strip())
    if not found or found[2].lower() not in _UNITS:
        raise ConfigError(
            f'{shown(value)} is not a size; allowed: a number of bytes, or text such as "512 KiB", "64 MiB", "2 GiB"'
        )
    return int(float(found[1]) * _UNITS[found[2].lower()])


def size_text(size: int) -> str:
    """`64 MiB` from 67108864: the largest unit that leaves a whole number."""
    for name, unit in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"


@dataclass(frozen=True)
class Between:
    """A validator for a number from `low` to `high`, both allowed."""

    low: float
    high: float
    text: Callable[[Any], str] = str

    def __call__(self, value: Value) -> Value:
        """The value itself; raises what pydantic expects."""
        if self.low <= value <= self.high:  # type: ignore[operator]
            return value
        allowed = f"{self.text(self.low)} to {self.text(self.high)}"
        raise wrong(ConfigError(f"{self.text(value)} is out of range; allowed: {allowed}"))


def _file_name(value: Path, info: ValidationInfo) -> Path:
    """A file, from the configuration's folder on (`info.context`). A key that was pasted here must not be shown."""
    if "-----BEGIN" in str(value):
        hint = "Save it to a file that only the daemon may read, and give the file's name here."
        raise wrong(ConfigError("holds a certificate or key itself; allowed: the name of a file", hint=hint))
    if not value.name:
        raise wrong(ConfigError("must be the name of a file"))
    return Path(info.context or "") / value


Whole: TypeAlias = Annotated[int, BeforeValidator(sentenced(_no_bool))]
Number: TypeAlias = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(sentenced(_no_bool))]
Size: TypeAlias = Annotated[int, BeforeValidator(sentenced(size_in_bytes))]
FileName: TypeAlias = Annotated[Path, AfterValidator(_file_name)]
