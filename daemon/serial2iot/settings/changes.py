"""What a reload may change while the daemon runs, and what needs a restart. Pure.

The connection, what is said on it at its beginning and end, and the spool are made once: `[thing]`, `[mqtt]`,
`[presence]`, `[buffer]` need a restart. `[telemetry]`, `[[serial]]` and `log.level` change as they go.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from serial2iot.settings.result import Settings


@dataclass(frozen=True, slots=True)
class Changes:
    """`running` is what the daemon works with from now on: the new settings less what needs a restart."""

    running: Settings
    telemetry: bool
    ports: bool
    log: bool
    needs_restart: tuple[str, ...]  # names of tables


def changes(old: Settings, new: Settings) -> Changes:
    """Compare what runs with what the file says now."""
    needs_restart = {
        "thing": old.thing != new.thing,
        "mqtt": old.session != replace(new.session, client_id=_client_id(old, new))
        or old.telemetry.limits != new.telemetry.limits,
        "presence": old.presence.topic != new.presence.topic and old.thing == new.thing,
        "buffer": old.spool != new.spool,
        "log.crt_level": old.log.crt_level != new.log.crt_level,
    }
    telemetry = replace(new.telemetry, limits=old.telemetry.limits)
    if needs_restart["thing"]:
        telemetry = old.telemetry  # its topics have the thing's name in them
    running = replace(
        old, telemetry=telemetry, ports=new.ports, log=replace(new.log, crt_level=old.log.crt_level)
    )
    return Changes(
        running=running,
        telemetry=running.telemetry != old.telemetry,
        ports=running.ports != old.ports,
        log=running.log != old.log,
        needs_restart=tuple(name for name, changed in needs_restart.items() if changed),
    )


def _client_id(old: Settings, new: Settings) -> str:
    """The new client id, unless it differs only because the thing's name is in it."""
    return new.session.client_id if old.thing == new.thing else old.session.client_id
