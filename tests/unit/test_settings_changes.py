"""What a reload changes, and what it leaves to a restart."""

from serial2iot.settings import changes
from tests.configuration import Configuration


def after(configuration: Configuration, line: str, by: str):
    old = configuration.load()
    configuration.replace(line, by)
    return old, changes(old, configuration.load())


def test_nothing_changed(configuration: Configuration) -> None:
    old, found = after(configuration, "[log]", "[log]")
    assert found.running == old
    assert not (found.telemetry or found.ports or found.log or found.needs_restart)


def test_telemetry_ports_and_log_level_change(configuration: Configuration) -> None:
    for line, by, what in (
        ('layout = "single"', 'layout = "batch"', "telemetry"),
        ("baud = 115200", "baud = 9600", "ports"),
        ('framing = "lines"', 'framing = "slip"', "ports"),
        ('level = "info"', 'level = "debug"', "log"),
    ):
        _, found = after(configuration, line, by)
        assert [name for name in ("telemetry", "ports", "log") if getattr(found, name)] == [what]
        assert found.needs_restart == ()
        assert found.running == configuration.load()


def test_what_needs_a_restart_is_not_touched(configuration: Configuration) -> None:
    for line, by, table in (
        ("keep_alive_s = 30", "keep_alive_s = 60", "mqtt"),
        ("port = 8883", 'port = 8883\nlimits = "none"', "mqtt"),
        ('topic = "my/things/{thing}/update"', 'topic = "my/things/{thing}/other"', "presence"),
        ('max_bytes = "64 MiB"', 'max_bytes = "32 MiB"', "buffer"),
        ('level = "info"', 'level = "info"\ncrt_level = "warn"', "log.crt_level"),
    ):
        old, found = after(configuration, line, by)
        assert found.needs_restart == (table,)
        assert found.running == old


def test_another_thing_is_one_change_and_its_topics_wait_for_it(configuration: Configuration) -> None:
    old, found = after(configuration, 'name = "RPI"', 'name = "SHED"')
    assert found.needs_restart == ("thing",)
    assert found.running == old
