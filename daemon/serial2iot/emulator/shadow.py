"""The Device Shadow service: requests in, replies out. Pure: no I/O, and time is an argument.

    $aws/things/THING/shadow/OPERATION                  the classic shadow
    $aws/things/THING/shadow/name/NAME/OPERATION        a named one

`update`, `get` and `delete` are answered on `OPERATION/accepted` or `OPERATION/rejected`. An accepted update
is told on `update/delta` too, while `desired` and `reported` differ, and always on `update/documents`.
(https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-mqtt.html)

Rules:

1. A refused request changes nothing, the version included.
2. Versions go up by one, and go on where they were after a delete. (AWS forgets after 48 hours.)
3. A version in an update must be the current one: 409 otherwise.
4. A clientToken is given back in every reply to the request that brought it.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from serial2iot.emulator.shadow_document import (
    SECTIONS,
    Object,
    ShadowDocument,
    deeper_than,
    stamped,
)

OPERATIONS = ("update", "get", "delete")
REQUEST_FILTERS = tuple(
    f"$aws/things/+/shadow/{named}{operation}" for named in ("", "name/+/") for operation in OPERATIONS
)

# https://docs.aws.amazon.com/general/latest/gr/iot-core.html#device-shadow-limits
MAX_STATE_BYTES = 8 * 1024  # desired and reported together; metadata does not count
MAX_LEVELS = 8  # of a section, itself counted; the page of error messages still says 6
MAX_TOKEN_BYTES = 64

_REQUEST = re.compile(r"\$aws/things/([^/]+)/shadow/(?:name/([^/]+)/)?(update|get|delete)")


class ShadowKey(NamedTuple):
    """Which shadow: `name` is None for the classic one."""

    thing: str
    name: str | None = None

    @property
    def prefix(self) -> str:
        """What all topics of this shadow begin with."""
        named = "" if self.name is None else f"/name/{self.name}"
        return f"$aws/things/{self.thing}/shadow{named}"


class Reply(NamedTuple):
    """A message that the service publishes, with QoS 1."""

    topic: str
    payload: bytes


class _RejectedError(Exception):
    """A refusal, with code and words from
    https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-error-messages.html
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def parse_request(topic: str) -> tuple[ShadowKey, str] | None:
    """Return which shadow and which operation a topic asks for, or None where it asks for nothing."""
    found = _REQUEST.fullmatch(topic)
    return (ShadowKey(found[1], found[2]), found[3]) if found else None


class Shadows:
    """All shadows of an account, in memory."""

    def __init__(self) -> None:
        self._documents: dict[ShadowKey, ShadowDocument] = {}
        self._deleted: dict[ShadowKey, int] = {}  # the version each had

    def document(self, key: ShadowKey) -> ShadowDocument | None:
        """Return the shadow as it is now."""
        return self._documents.get(key)

    def request(self, key: ShadowKey, operation: str, payload: bytes, now: float) -> list[Reply]:
        """Do one operation at `now`, seconds since the epoch, and return what is published, in order."""
        request: Object = {}
        try:
            request = _parse(payload, lenient=operation != "update")
            answers = self._answer(key, operation, request, int(now))
        except _RejectedError as refusal:
            answers = {f"{operation}/rejected": {"code": refusal.code, "message": str(refusal)}}
        return [
            Reply(f"{key.prefix}/{suffix}", _encode(_finished(answer, request, int(now))))
            for suffix, answer in answers.items()
        ]

    def _answer(self, key: ShadowKey, operation: str, request: Object, now: int) -> dict[str, Object]:
        """Return the answers by the end of their topic."""
        if operation == "get":
            return self._get(key)
        if operation == "delete":
            return self._delete(key)
        return self._update(key, request, now)

    def _update(self, key: ShadowKey, request: Object, now: int) -> dict[str, Object]:
        before = self._documents.get(key)
        base = before or ShadowDocument(version=self._deleted.get(key, 0))
        state = _checked_state(request, base.version)
        after = base.updated(state, now)
        _check_size(after)
        self._documents[key] = after
        asked = {"state": state, "metadata": stamped(state or {}, now)}
        answers: dict[str, Object] = {"update/accepted": asked | {"version": after.version}}
        delta, metadata = after.delta()
        if delta:
            answers["update/delta"] = {"state": delta, "metadata": metadata, "version": after.version}
        previous = before.as_json() if before else None
        return answers | {"update/documents": {"previous": previous, "current": after.as_json()}}

    def _get(self, key: ShadowKey) -> dict[str, Object]:
        document = self._existing(key).as_json()
        if delta := self._existing(key).delta()[0]:
            document["state"] = document["state"] | {"delta": delta}
        return {"get/accepted": document}

    def _delete(self, key: ShadowKey) -> dict[str, Object]:
        version = self._existing(key).version
        self._deleted[key] = version
        del self._documents[key]
        return {"delete/accepted": {"version": version}}

    def _existing(self, key: ShadowKey) -> ShadowDocument:
        if key not in self._documents:
            raise _RejectedError(404, f"No shadow exists with name: '{key.name or key.thing}'")
        return self._documents[key]


def _parse(payload: bytes, *, lenient: bool) -> Object:
    """Read a request. `get` and `delete` need none, and get on with whatever is there."""
    try:
        request = json.loads(payload.decode(), parse_constant=_no_such_constant)
    except RecursionError:
        refusal = _RejectedError(400, _too_deep())
    except UnicodeDecodeError:
        refusal = _RejectedError(415, "Unsupported documented encoding; supported encoding is UTF-8")
    except ValueError:
        refusal = _RejectedError(400, "Invalid JSON")
    else:
        if isinstance(request, dict):
            return request
        refusal = _RejectedError(400, "Missing required node: state")
    if lenient:
        return {}
    raise refusal


def _no_such_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _too_deep() -> str:
    return f"JSON contains too many levels of nesting; maximum is {MAX_LEVELS}"


def _checked_state(request: Object, current: int) -> Object | None:
    """Return what an update asks for: its sections, or None to clear them all.

    `current` is the shadow's version.
    """
    if "clientToken" in request and _token(request) is None:
        raise _RejectedError(400, "Invalid clientToken")
    if "state" not in request:
        raise _RejectedError(400, "Missing required node: state")
    version = request.get("version", current)
    if not isinstance(version, int) or isinstance(version, bool):
        raise _RejectedError(400, "Invalid version")
    state = _checked_sections(request["state"])
    if version != current:
        raise _RejectedError(409, "Version conflict")
    return state


def _checked_sections(state: Any) -> Object | None:
    if state is None:
        return None
    if not isinstance(state, dict):
        raise _RejectedError(400, "State node must be an object")
    if not state.keys() <= {*SECTIONS, "delta"}:
        raise _RejectedError(400, "State contains an invalid node")
    sections = {section: state[section] for section in SECTIONS if section in state}
    for section, content in sections.items():
        if content is not None and not isinstance(content, dict):
            raise _RejectedError(400, f"{section.capitalize()} node must be an object")
        if deeper_than(MAX_LEVELS, content):
            raise _RejectedError(400, _too_deep())
        if _null_in_array(content):
            raise _RejectedError(400, "State contains an invalid node")
    return sections  # without a delta: devices send back what they got, and it says nothing new


def _null_in_array(value: Any) -> bool:
    if isinstance(value, list):
        return None in value or any(map(_null_in_array, value))
    return isinstance(value, dict) and any(map(_null_in_array, value.values()))


def _check_size(document: ShadowDocument) -> None:
    if sum(len(_encode(section)) for section in document.state.values()) > MAX_STATE_BYTES:
        raise _RejectedError(413, "The payload exceeds the maximum size allowed")


def _token(request: Object) -> str | None:
    token = request.get("clientToken")
    if isinstance(token, str) and len(token.encode("utf-8", "surrogatepass")) <= MAX_TOKEN_BYTES:
        return token
    return None


def _finished(answer: Object, request: Object, now: int) -> Object:
    answer = answer | {"timestamp": now}
    token = _token(request)
    return answer if token is None else answer | {"clientToken": token}


def _encode(document: Object) -> bytes:
    # A lone surrogate is valid in JSON's escapes and has no UTF-8.
    try:
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(document, separators=(",", ":")).encode()
