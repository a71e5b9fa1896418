"""What `serial2iot status --json` says: the whole daemon as one JSON object, stable for scripts.

`schema` goes up when a key is taken away or changes its meaning; keys may be added at any time. `_s` is seconds,
`_ms` milliseconds since the epoch, sizes are bytes, counts are those of this run.

    schema version pid uptime_s config thing
    run           number, kept_in (file | database | clock: it could be kept nowhere)
    clock         trusted, time_ms
    link          up, for_s (up or down), endpoint, port, client_id, keep_alive_s,
                  last_loss: null or ago_s, reason, hint, error
    presence      state (offline announcing listening confirmed contradicted unconfirmed leaving gone), topic,
                  shadow_says: true | false | null (no word of it)
    certificate   path, not_after (ISO 8601), days_left (negative: expired)
    telemetry     layout, limits, mode (offline catching_up live draining ended), in_flight (messages),
                  outrun: null or port, port_rate, rate, leaves (readings/s), hint
    ports[]       name, configured, device (null: absent), absent (null, or reason, hint), rate (readings/s), topic,
                  silent_s (null, or for how long nothing came although silent_after_s is over),
                  standing of the topic (clear suspected doubted refused),
                  last: null or ago_s, time_ms, values;   wire: bytes, filtered, nulled, bad_frames {reason: n};
                  books: carried_over, received, acknowledged, waiting, dropped {reason: n}
    books         of all ports together: the same words, dropped as a number, and balanced (true | false)
    spool         state (memory healthy disk_full read_only busy failing damaged), for_s, error, hint, held, memory,
                  file, max_bytes, path, commits, slowest_commit_s, set_aside [names]
    last_error    null or ago_s, level, event, port, reason, hint
    needs_restart names of the tables that a reload found changed and could not change
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from serial2iot import __version__
from serial2iot.cloud.lane import Lanes
from serial2iot.cloud.presence import Presence
from serial2iot.cloud.presence_table import State
from serial2iot.cloud.publisher import Publisher
from serial2iot.cloud.session import Session
from serial2iot.counters import LaneCounts, WireCounts, sums
from serial2iot.host.clock import Clock
from serial2iot.host.pressure import Pressure
from serial2iot.host.rates import Rates
from serial2iot.host.recent import recent
from serial2iot.readers import Line, Readers
from serial2iot.settings import Settings
from serial2iot.spool.contract import Spool
from serial2iot.spool.run_number import RunNumber

SCHEMA = 1
_SHADOW_SAYS = {State.CONFIRMED: True, State.CONTRADICTED: False}


@dataclass(slots=True)
class Parts:
    """All there is to report on. The service owns them."""

    settings: Settings
    clock: Clock
    spool: Spool
    session: Session
    presence: Presence
    lanes: Lanes
    publisher: Publisher
    readers: Readers
    run: RunNumber
    rates: Rates = field(default_factory=Rates)
    pressure: Pressure = field(default_factory=Pressure)
    needs_restart: tuple[str, ...] = ()
    started_at: float = field(default_factory=time.monotonic)


def report(parts: Parts) -> dict[str, Any]:
    """How everything is at this moment."""
    settings = parts.settings
    return {
        "schema": SCHEMA,
        "version": __version__,
        "pid": os.getpid(),
        "uptime_s": _rounded(time.monotonic() - parts.started_at),
        "config": str(settings.path),
        "thing": settings.thing,
        "run": {"number": parts.run.number, "kept_in": parts.run.source},
        "clock": {"trusted": parts.clock.trusted, "time_ms": parts.clock.stamp().wall_ms},
        "link": _link(parts),
        "presence": {
            "state": parts.presence.state.name.lower(),
            "topic": settings.presence.topic,
            "shadow_says": _SHADOW_SAYS.get(parts.presence.state),
        },
        "certificate": _certificate(settings),
        "telemetry": _telemetry(parts),
        "ports": [_port(parts, name) for name in _names(parts)],
        "books": _books(parts),
        "spool": _spool(parts),
        "last_error": _last_error(),
        "needs_restart": list(parts.needs_restart),
    }


def _names(parts: Parts) -> list[str]:
    """Ports as configured, then lanes that are configured no more and lanes of readings published by hand."""
    return list(dict.fromkeys([*parts.readers.lines, *parts.spool.lanes()]))


def _link(parts: Parts) -> dict[str, Any]:
    session, options = parts.session, parts.settings.session
    loss = None
    if session.last_loss is not None:
        at, why = session.last_loss
        loss = {"ago_s": _ago(at), "reason": why.reason, "hint": why.hint, "error": why.error}
    return {
        "up": session.up,
        "for_s": _rounded(session.for_s),
        "endpoint": options.endpoint,
        "port": options.port,
        "client_id": options.client_id,
        "keep_alive_s": options.keep_alive_s,
        "last_loss": loss,
    }


def _certificate(settings: Settings) -> dict[str, Any]:
    validity = settings.credentials
    return {
        "path": str(validity.certificate),
        "not_after": validity.not_after.isoformat(),
        "days_left": (validity.not_after - datetime.now(UTC)).days,
    }


def _telemetry(parts: Parts) -> dict[str, Any]:
    outrun = parts.pressure.outrun
    return {
        "layout": parts.settings.telemetry.layout,
        "limits": parts.settings.telemetry.limits,
        "mode": parts.publisher.mode,
        "in_flight": parts.publisher.in_flight,
        "outrun": asdict(outrun) if outrun else None,
    }


def _port(parts: Parts, name: str) -> dict[str, Any]:
    line = parts.readers.lines.get(name)
    lane = parts.lanes.of(name)
    counts = line.reader.counts if line else WireCounts()
    return {
        "name": name,
        "configured": line is not None,
        "device": line.reader.device if line else None,
        "absent": _absent(line),
        "silent_s": line.reader.silent_s if line else None,
        "rate": _rounded(parts.rates.of(name)),
        "topic": lane.topic,
        "standing": lane.standing.value,
        "last": _last(parts, name),
        "wire": {**asdict(counts), "bad_frames": dict(counts.bad_frames)},
        "books": _lane_books(parts.spool.lanes().get(name)),
    }


def _absent(line: Line | None) -> dict[str, Any] | None:
    why = line.reader.absent if line else None
    return {"reason": str(why), "hint": why.hint} if why else None


def _last(parts: Parts, name: str) -> dict[str, Any] | None:
    last = parts.readers.last_values(name)
    if last is None:
        return None
    stamp, body = last
    ago_ms = parts.clock.stamp().mono_ms - stamp.mono_ms
    time_ms, _ = parts.clock.wall_time(stamp)
    return {"ago_s": ago_ms / 1000, "time_ms": time_ms, "values": json.loads(body)}


def _lane_books(counts: LaneCounts | None) -> dict[str, Any]:
    counts = counts or LaneCounts()
    return {**asdict(counts), "dropped": dict(counts.dropped)}


def _books(parts: Parts) -> dict[str, Any]:
    lanes = parts.spool.lanes().values()
    return {**sums(lanes), "balanced": all(lane.balanced for lane in lanes)}


def _spool(parts: Parts) -> dict[str, Any]:
    options = parts.settings.spool
    status = asdict(parts.spool.status())
    del status["run_from"]  # said by `run`
    return {**status, "path": str(options.path), "max_bytes": options.max_bytes}


def _last_error() -> dict[str, Any] | None:
    last = recent.last
    if last is None:
        return None
    said = asdict(last)
    return {"ago_s": _ago(said.pop("at")), **said}


def _ago(at: float) -> float:
    return _rounded(time.monotonic() - at)


def _rounded(number: float) -> float:
    return round(number, 2)
