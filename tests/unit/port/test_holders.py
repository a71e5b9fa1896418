"""Who has it: real processes, real descriptors."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from serial2iot.port import holders as room
from serial2iot.port.holders import Holder, holders, lockers
from tests.unit.port.lines import Pty, held


def test_a_program_that_has_it_open_is_named() -> None:
    with Pty() as pty:
        assert holders(pty.device) == []
        with held(pty.device, "ModemManager") as pid:
            assert holders(pty.device) == [Holder(pid, "ModemManager")]
            assert str(holders(pty.device)[0]) == f"ModemManager (pid {pid})"
        assert holders(pty.device) == []


def test_a_lock_tells_on_whom_we_may_not_look_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_having_open", lambda _: iter(()))
    with Pty() as pty, held(pty.device, "picocom", locked=True) as pid, held(pty.device, "agetty"):
        assert holders(pty.device) == [Holder(pid, "picocom")]


def test_who_keeps_others_out_is_told_from_who_only_listens() -> None:
    with Pty() as pty, held(pty.device, "picocom", locked=True) as pid, held(pty.device, "agetty") as other:
        assert lockers(pty.device) == [Holder(pid, "picocom")]
        assert {holder.pid for holder in holders(pty.device)} == {pid, other}


def test_no_device_no_holder() -> None:
    assert holders("/nowhere/tty") == []


def test_python_is_not_the_name_of_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PROC", tmp_path)
    for pid, comm, cmdline in (
        (1, "python3", "python3\0-m\0serial2iot\0run\0"),
        (2, "python3.11", f"{sys.executable}\0-u\0/opt/logger.py\0"),
        (3, "picocom", "picocom\0/dev/ttyACM0\0"),
        (4, "python3", "python3\0"),
    ):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "comm").write_text(comm + "\n")
        (tmp_path / str(pid) / "cmdline").write_text(cmdline)
    assert [room._name(pid) for pid in range(1, 6)] == ["serial2iot", "logger.py", "picocom", "python3", "?"]
