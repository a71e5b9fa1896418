"""What a person reads, in 80 columns, whatever is wrong."""

from typing import Any

import pytest

from serial2iot.host.status_text import WIDTH, lines, rate, size, span

LONG = "a-very-long-name-without-any-place-to-break-it." * 4


def report(**changes: Any) -> dict[str, Any]:
    """One in which all is well; `changes` by table."""
    good: dict[str, dict[str, Any]] = {
        "link": {
            "up": True,
            "for_s": 11_500.0,
            "endpoint": "abcdef-ats.iot.ap-northeast-2.amazonaws.com",
            "port": 8883,
            "client_id": "RPI",
            "last_loss": None,
        },
        "presence": {"state": "confirmed", "shadow_says": True},
        "clock": {"trusted": True},
        "run": {"number": 7, "kept_in": "file"},
        "certificate": {"not_after": "2031-01-01T00:00:00+00:00", "days_left": 1865},
        "telemetry": {"layout": "single", "limits": "aws", "mode": "live", "outrun": None},
        "books": {
            "carried_over": 0,
            "received": 5,
            "acknowledged": 5,
            "waiting": 0,
            "dropped": 0,
            "balanced": True,
        },
        "spool": {
            "state": "healthy",
            "held": 0,
            "max_bytes": 64 << 20,
            "path": "/var/lib/serial2iot/spool.db",
            "error": "",
            "hint": "",
            "for_s": 9.0,
            "set_aside": [],
        },
    }
    port = {
        "name": "arduino",
        "configured": True,
        "device": "/dev/ttyACM0",
        "absent": None,
        "silent_s": None,
        "rate": 12.0,
        "topic": "my/things/RPI/telemetry",
        "standing": "clear",
        "last": {"ago_s": 0.1, "time_ms": 0, "values": {"t": 23.4}},
        "wire": {"bad_frames": {}, "filtered": 0},
        "books": {"received": 5, "waiting": 0, "dropped": {}},
    }
    port |= changes.pop("port", {})
    last = changes.pop("last_error", None)
    merged = {name: table | changes.get(name, {}) for name, table in good.items()}
    head = {"version": "0.1.0", "uptime_s": 12_000.0, "pid": 812, "thing": "RPI", "needs_restart": []}
    return {**head, **changes.pop("head", {}), **merged, "ports": [port], "last_error": last}


def text(**changes: Any) -> str:
    said = list(lines(report(**changes)))
    assert all(len(line) <= WIDTH for line in said), [line for line in said if len(line) > WIDTH]
    return "\n".join(said)


def test_all_is_well() -> None:
    said = text()
    assert said.startswith("serial2iot   CONNECTED for 3 h 11 min, as RPI\n")
    assert 'arduino      /dev/ttyACM0, 12/s, last 0.1 s ago\n             {"t": 23.4}' in said
    assert "!" not in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"link": {"up": False, "last_loss": {"ago_s": 3.0, "reason": "no route", "hint": "see Wi-Fi"}}},
            ["NOT CONNECTED", "lost 3.0 s ago: no route", "-> see Wi-Fi"],
        ),
        ({"presence": {"state": "contradicted", "shadow_says": False}}, ["does NOT say connected: true"]),
        ({"clock": {"trusted": False}}, ["! the clock"]),
        ({"run": {"kept_in": "clock"}}, ["kept nowhere"]),
        ({"certificate": {"days_left": -1}}, ["EXPIRED on 2031-01-01"]),
        (
            {
                "telemetry": {
                    "outrun": {"port": "arduino", "rate": 120.0, "leaves": 90.0, "hint": "use batches"}
                }
            },
            ["! arduino outruns the quota: 120/s come, 90/s leave", "-> use batches"],
        ),
        ({"books": {"balanced": False}}, ["do NOT balance"]),
        (
            {"spool": {"state": "disk_full", "error": "no space", "hint": "df"}},
            ["! for 9.0 s: no space", "-> df"],
        ),
        (
            {"port": {"device": None, "last": None, "absent": {"reason": "not there", "hint": "plug it in"}}},
            ["ABSENT", "! not there", "-> plug it in"],
        ),
        ({"port": {"silent_s": 90.0}}, ["! silent for 90 s"]),
        ({"port": {"standing": "refused"}}, ["! the topic is refused"]),
        ({"port": {"wire": {"bad_frames": {"not_utf8": 3}, "filtered": 2}}}, ["3 not_utf8", "filtered: 2"]),
        ({"head": {"needs_restart": ["mqtt"]}}, ["! [mqtt] changed in the file"]),
        (
            {
                "last_error": {
                    "ago_s": 130.0,
                    "level": "warning",
                    "event": "port_lost",
                    "port": "arduino",
                    "reason": "unplugged",
                    "hint": "is it plugged in?",
                }
            },
            ["2 min ago: arduino: port lost: unplugged", "-> is it plugged in?"],
        ),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], words: list[str]) -> None:
    said = " ".join(text(**changes).split())
    for each in words:
        assert each in said


def test_nothing_makes_it_wider_and_no_control_character_gets_out() -> None:
    values = {"last": {"ago_s": 1.0, "time_ms": 0, "values": {"t": "\x1b[31m" + LONG}}}
    said = text(port={"name": LONG, "topic": LONG, "device": LONG, **values}, spool={"path": "/" + LONG})
    assert "\x1b" not in said


def test_spans_rates_and_sizes() -> None:
    assert [span(s) for s in (0.04, 12, 600, 20_000, 900_000)] == [
        "0.0 s",
        "12 s",
        "10 min",
        "5 h 33 min",
        "10 d",
    ]
    assert [rate(r) for r in (0, 0.24, 12.4)] == ["0/s", "0.2/s", "12/s"]
    assert [size(n) for n in (12, 3500, 64 << 20, 5 << 30)] == ["12 bytes", "3.4 KiB", "64 MiB", "5.0 GiB"]
