"""What a shadow document is, and what an update makes of it. Pure: a document never changes.

Rules (https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-document.html):

1. An update touches only what it names. Objects are merged, null removes, everything else replaces: an array
   is replaced whole.
2. A section (`desired`, `reported`) that has become empty is no longer there.
3. Each value, and each element of an array, carries the time of the update that last named it.
4. The delta is what `desired` holds and `reported` lacks or has otherwise, down to the single value; arrays
   are compared whole.
5. Each update counts the version up by one, also one that changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

Object: TypeAlias = dict[str, Any]

SECTIONS = ("desired", "reported")


@dataclass(frozen=True, slots=True)
class ShadowDocument:
    """One version of a shadow. Version 0 is the shadow that does not exist yet."""

    version: int = 0
    state: Object = field(default_factory=dict)
    metadata: Object = field(default_factory=dict)

    def updated(self, patch: Object | None, now: int) -> ShadowDocument:
        """Return the next version. `patch` holds sections, None clears them all; `now` is in seconds."""
        if patch is None:
            patch = dict.fromkeys(SECTIONS)
        state, metadata = _merge(self.state, self.metadata, patch, now)
        return ShadowDocument(self.version + 1, _without_empty(state), _without_empty(metadata))

    def delta(self) -> tuple[Object, Object]:
        """Return what differs, and when that was desired; two empty objects where nothing differs."""
        difference = _difference(self.state.get("desired", {}), self.state.get("reported", {}))
        return difference, _along(difference, self.metadata.get("desired", {}))

    def as_json(self) -> Object:
        """Return it as it stands in `update/documents`."""
        return {"state": self.state, "metadata": self.metadata, "version": self.version}


def stamped(value: Any, now: int) -> Any:
    """Return the metadata of a value that is named now."""
    if isinstance(value, dict):
        return {key: stamped(inner, now) for key, inner in value.items()}
    if isinstance(value, list):
        return [stamped(inner, now) for inner in value]
    return {"timestamp": now}


def deeper_than(levels: int, value: Any) -> bool:
    """Tell whether objects and arrays are nested more than `levels` deep in `value`, itself counted."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(deeper_than(levels - 1, child) for child in inner)


def _merge(state: Object, metadata: Object, patch: Object, now: int) -> tuple[Object, Object]:
    state, metadata = dict(state), dict(metadata)
    for key, value in patch.items():
        if value is None:
            state.pop(key, None)
            metadata.pop(key, None)
        elif isinstance(value, dict):
            if not isinstance(state.get(key), dict):
                state[key], metadata[key] = {}, {}
            state[key], metadata[key] = _merge(state[key], metadata[key], value, now)
        else:
            state[key], metadata[key] = value, stamped(value, now)
    return state, metadata


def _without_empty(sections: Object) -> Object:
    return {section: content for section, content in sections.items() if content}


def _difference(desired: Object, reported: Object) -> Object:
    result: Object = {}
    for key, value in desired.items():
        held = reported.get(key)
        if isinstance(value, dict) and isinstance(held, dict):
            if inner := _difference(value, held):
                result[key] = inner
        elif not _equal(value, held):
            result[key] = value
    return result


def _equal(one: Any, other: Any) -> bool:
    """Compare as JSON does: true is not 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _along(difference: Object, metadata: Object) -> Object:
    return {
        key: _along(value, metadata[key]) if isinstance(value, dict) else metadata[key]
        for key, value in difference.items()
    }
