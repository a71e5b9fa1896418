"""The loop of one port: lost and back, silent and awake."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from serial2iot.port import serial_port
from serial2iot.port.serial_port import SerialPort
from tests.leaks import open_descriptors
from tests.unit.port.lines import Pty, Taken, reader, reading, until


async def test_absent_at_start_is_a_state_that_is_said_once(tmp_path: Path) -> None:
    link = tmp_path / "ttyACM0"
    taken = Taken()
    one = reader(link, taken)
    with capture_logs() as logs, Pty() as pty:
        async with reading(one):
            await until(lambda: one.absent)
            await asyncio.sleep(0.1)
            assert one.device is None
            assert "not there" in str(one.absent)
            link.symlink_to(pty.device)
            await until(lambda: one.device)
            assert one.absent is None
            pty.say(b"7\n")
            await until(lambda: taken)
    assert [entry["event"] for entry in logs] == ["port_absent", "port_open"]


async def test_a_silent_line_is_said_once_reopened_reset_and_welcomed_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pulses: list[str] = []

    async def pulse(port: SerialPort) -> bool:
        pulses.append("pulse")
        return True

    monkeypatch.setattr(SerialPort, "pulse_dtr", pulse)
    monkeypatch.setattr(serial_port, "QUIET_S", 0.05)
    taken = Taken()
    with capture_logs() as logs, Pty() as pty:
        one = reader(pty.device, taken, silent_after_s=0.05)
        async with reading(one):
            await until(lambda: len(pulses) == 2)
            assert one.silent_s is not None
            assert one.silent_s > 0.05
            await until(lambda: one.device)
            pty.say(b"\n7\n")
            await until(lambda: taken)
            assert one.silent_s is None
    told = [(entry["log_level"], entry["event"]) for entry in logs if entry["log_level"] != "debug"]
    assert told == [("info", "port_open"), ("warning", "port_silent"), ("info", "port_speaks_again")]
    remedies = [entry["remedy"] for entry in logs if entry["event"] == "port_silent"]
    assert remedies[:4] == ["reopen", "pulse_dtr", "reopen", "pulse_dtr"]


async def test_a_device_that_is_lost_at_once_is_not_opened_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = 0
    really = SerialPort.open

    async def count(port: SerialPort) -> str:
        nonlocal opened
        opened += 1
        return await really(port)

    async def lost(port: SerialPort, quiet_s: float | None = None) -> bytes:
        raise serial_port.PortError("lost at once")

    monkeypatch.setattr(SerialPort, "open", count)
    monkeypatch.setattr(SerialPort, "read", lost)
    with Pty() as pty:
        one = reader(pty.device, Taken())
        async with reading(one):
            await asyncio.sleep(0.2)
    assert 2 <= opened <= 11, "once every 20 ms"


async def test_a_failed_open_leaves_no_descriptor(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    one = reader(plain, Taken())
    async with reading(one):
        await until(lambda: one.absent)
        before = open_descriptors()
        await asyncio.sleep(0.1)
        assert not open_descriptors() - before
