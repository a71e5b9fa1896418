"""`[[serial]]`: its keys are the fields of the port's and the wire's options, and nobody writes them twice.

A pydantic model is made from the options classes: the kinds of values are translated here, once, and a class
inside a class becomes an inline table. What goes together is judged by the room it belongs to (`wire.rules`).
"""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StrictBool,
    create_model,
)

from serial2iot.errors import ConfigError
from serial2iot.port import network
from serial2iot.port.options import DeviceMatch, PortOptions
from serial2iot.settings.result import PortSettings
from serial2iot.settings.values import Between, Number, Whole, sentenced, shown, wrong
from serial2iot.wire import rules
from serial2iot.wire.options import WireOptions, byte_string

Options = TypeVar("Options")

_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_HEX = "0x{:04X}".format


def port_name(name: str) -> str:
    """It is a level of a topic, a field of a message and a word in a log line."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{shown(name)} is no port name; allowed: 1 to 64 letters, digits, _ . : -")
    return name


def _one_text(value: Any) -> Any:
    """A list of one text may be given as the text."""
    return [value] if isinstance(value, str) else value


def _bytes(value: Any) -> bytes:
    if not isinstance(value, (str, list)):
        raise ConfigError(f'must be text ("\\r\\n") or a list of bytes ([0x42, 0x4D]), not {shown(value)}')
    return byte_string(value)


# What a kind of value does not say by itself. 50 baud is the slowest that Linux knows, 12 Mbaud the fastest that a
# USB bridge does (FTDI's Hi-Speed chips); USB ids have 16 bits.
_BOUNDED: dict[tuple[type, str], Any] = {
    (PortOptions, "name"): Annotated[str, AfterValidator(sentenced(port_name))],
    (PortOptions, "device"): Annotated[str, Field(min_length=1)] | None,
    (PortOptions, "baud"): Annotated[Whole, AfterValidator(Between(50, 12_000_000))],
    (PortOptions, "silent_after_s"): Annotated[Number, AfterValidator(Between(0, 86_400))],
    (DeviceMatch, "vid"): Annotated[Whole, AfterValidator(Between(0, 0xFFFF, _HEX))] | None,
    (DeviceMatch, "pid"): Annotated[Whole, AfterValidator(Between(0, 0xFFFF, _HEX))] | None,
}

_SIMPLE: dict[Any, Any] = {
    int: Whole,
    float: Number,
    bool: StrictBool,
    bytes: Annotated[bytes, BeforeValidator(sentenced(_bytes))],
}


def _kind(hint: Any) -> Any:
    """What pydantic is to expect for a field of an options class."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return Union[tuple(_kind(each) for each in inner)]  # noqa: UP007
    if origin in (tuple, frozenset):
        many: Any = tuple[_kind(inner[0]), ...] if origin is tuple else frozenset[_kind(inner[0])]  # type: ignore[misc]
        return Annotated[many, BeforeValidator(_one_text)] if inner[0] is str else many
    if origin is Mapping:
        return dict[str, _kind(inner[1])]  # type: ignore[misc]
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return Annotated[_model(hint), AfterValidator(_made_into(hint))]
    return hint if origin is Literal else _SIMPLE.get(hint, hint)


def _model(*classes: type) -> type[BaseModel]:
    """A model whose keys are the fields of these classes. An unknown key is an error."""
    keys: dict[str, Any] = {}
    for cls in classes:
        hints = get_type_hints(cls)
        for field in dataclasses.fields(cls):
            kind = _BOUNDED.get((cls, field.name)) or _kind(hints[field.name])
            keys[field.name] = (kind, _default(field))
    config = ConfigDict(frozen=True, extra="forbid")
    return create_model(classes[0].__name__, __config__=config, **keys)


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return Field(default_factory=field.default_factory)
    return ... if field.default is dataclasses.MISSING else field.default


def _made_into(cls: type[Options]) -> Callable[[BaseModel], Options]:
    def make(table: BaseModel) -> Options:
        return cls(**{field.name: getattr(table, field.name) for field in dataclasses.fields(cls)})  # type: ignore[arg-type]

    return make


SERIAL_MODEL = _model(PortOptions, WireOptions)
_port_options, _wire_options = _made_into(PortOptions), _made_into(WireOptions)


def _port_settings(value: Any) -> PortSettings:
    table = SERIAL_MODEL.model_validate(value)
    settings = PortSettings(_port_options(table), _wire_options(table))
    problems = [*_port_problems(settings.port), *_wire_problems(settings.wire)]
    if problems:
        raise wrong(*problems)
    return settings


def _port_problems(port: PortOptions) -> Iterator[ConfigError]:
    if port.device is not None and port.match is not None:
        yield ConfigError("has device and match; allowed: one of them", key="match")
    if port.device is None and port.match is None:
        hint = 'device = "/dev/ttyACM0"; ls -l /dev/serial/by-id/ shows what is plugged in.'
        yield ConfigError("has neither device nor match; allowed: one of them", hint=hint)
    if port.device is not None and "://" in port.device:
        try:
            network.address(port.device)
        except ValueError:
            hint = 'device = "socket://192.168.1.20:4000"'
            what = f"{shown(port.device)} is no address; allowed: a path, or socket://host:port"
            yield ConfigError(what, key="device", hint=hint)
    if port.match == DeviceMatch():
        hint = "match = { vid = 0x2341, pid = 0x0043 }; lsusb shows both."
        yield ConfigError("says nothing; needed: vid, pid or serial", key="match", hint=hint)


def _wire_problems(wire: WireOptions) -> Iterator[ConfigError]:
    try:
        rules.check(wire)
    except ConfigError as error:
        yield error


SerialTable: TypeAlias = Annotated[PortSettings, PlainValidator(_port_settings)]
