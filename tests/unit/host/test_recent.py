"""The last trouble is remembered with what to do about it; what is no trouble is not."""

import structlog

from serial2iot.host.logs import LogOptions, configure
from serial2iot.host.recent import recent


def test_the_last_warning_stays_until_the_next(tmp_path) -> None:
    with (tmp_path / "log").open("w") as stream:
        configure(LogOptions(), stream=stream)
        log = structlog.get_logger()
        log.warning("port_lost", port="arduino", reason="unplugged\n", hint="is it plugged in?")
        log.info("port_open", port="arduino")
        last = recent.last
        assert last is not None
        assert (last.level, last.event, last.port) == ("warning", "port_lost", "arduino")
        assert (last.reason, last.hint) == ("unplugged\\n", "is it plugged in?")
        log.error("spool_storage_failed", error="no space")
        assert recent.last is not None
        assert (recent.last.event, recent.last.reason, recent.last.port) == (
            "spool_storage_failed",
            "no space",
            "",
        )
    structlog.reset_defaults()
