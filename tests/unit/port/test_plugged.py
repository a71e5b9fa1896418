"""What is plugged in, and what is said of it."""

from __future__ import annotations

import json
import tomllib
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pytest
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from serial2iot.commands import ports
from serial2iot.port import plugged
from tests.unit.port.lines import Pty, held


def uno(device: str) -> ListPortInfo:
    info = ListPortInfo(device)
    info.vid, info.pid, info.serial_number = 0x2341, 0x0043, "8573"
    info.product = "Arduino Uno"
    return info


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An Uno on a pty, with a name by id."""
    with Pty() as pty:
        by_id = tmp_path / "by-id"
        by_id.mkdir()
        (by_id / "usb-Arduino_8573-if00").symlink_to(pty.device)
        monkeypatch.setattr(plugged, "BY_ID", by_id)
        monkeypatch.setattr(list_ports, "comports", lambda: [uno(pty.device)])
        yield SimpleNamespace(device=pty.device, name=str(by_id / "usb-Arduino_8573-if00"))


async def told(capsys: pytest.CaptureFixture[str], *, as_json: bool = False) -> str:
    assert await ports.run(Namespace(json=as_json)) == 0
    return capsys.readouterr().out


async def test_a_free_board_with_a_block_to_paste(board: SimpleNamespace, capsys) -> None:
    out = await told(capsys)
    assert f"{board.device}  Arduino Uno  2341:0043  serial 8573\n  {board.name}\n  free\n" in out
    block = tomllib.loads(out[out.index("[[serial]]") :])
    assert block == {"serial": [{"name": "arduino", "device": board.name, "baud": 115_200}]}


async def test_a_board_that_somebody_took(board: SimpleNamespace, capsys) -> None:
    for name, remedy in (("ModemManager", "disable --now ModemManager"), ("brltty", "apt-get remove brltty")):
        with held(board.device, name) as pid:
            out = await told(capsys)
        assert f"held by {name} (pid {pid})" in out
        assert remedy in out
        assert "[[serial]]" not in out
    with held(board.device, "agetty") as pid:
        fields = json.loads(await told(capsys, as_json=True))
    assert fields[0]["held_by"] == [{"pid": pid, "name": "agetty"}]
    assert "raspi-config" in fields[0]["warnings"][0]


async def test_for_scripts(board: SimpleNamespace, capsys) -> None:
    assert json.loads(await told(capsys, as_json=True)) == [
        {
            "device": board.device,
            "by_id": board.name,
            "vid": 0x2341,
            "pid": 0x0043,
            "serial": "8573",
            "product": "Arduino Uno",
            "held_by": [],
            "warnings": [],
        }
    ]


async def test_nothing_is_plugged_in(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(list_ports, "comports", list)
    assert "No serial device" in await told(capsys)
    assert json.loads(await told(capsys, as_json=True)) == []
