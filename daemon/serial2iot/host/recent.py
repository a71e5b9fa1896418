"""The last thing that went wrong, for `status`: what the log said at warning or above. A processor of structlog."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from serial2iot.host.sentence import clean

GRAVE = frozenset({"warning", "error", "critical"})


@dataclass(frozen=True, slots=True)
class Trouble:
    """One line of the log. `at` in monotonic seconds; `port` and `hint` may be empty."""

    at: float
    level: str
    event: str
    port: str
    reason: str
    hint: str


class Recent:
    """Remembers the last one."""

    def __init__(self) -> None:
        self.last: Trouble | None = None

    def __call__(self, _: Any, level: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Look at what is logged, and hand it on."""
        if level in GRAVE:
            port, reason, hint = (clean(event_dict.get(key) or "") for key in ("port", "reason", "hint"))
            reason = reason or clean(event_dict.get("error") or "")
            event = clean(event_dict.get("event", ""))
            self.last = Trouble(time.monotonic(), level, event, port, reason, hint)
        return event_dict


recent = Recent()
"""Of this process, as the log itself is."""
