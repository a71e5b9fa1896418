"""The daemon's socket against clients of every kind, over a real one."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from serial2iot.errors import ConfigError, DaemonError, Serial2IotError
from serial2iot.host import client, door
from serial2iot.host.door import Door


async def echo(request: Any) -> dict[str, object]:
    return {"said": request.get("what")}


async def refuse(request: Any) -> dict[str, object]:
    raise ConfigError("no good", hint="mend it")


async def fail(request: Any) -> dict[str, object]:
    raise RuntimeError("a mistake of ours")


async def much(request: Any) -> dict[str, object]:
    return {"much": "x" * 4_000_000}


ANSWERS = {"echo": echo, "refuse": refuse, "fail": fail, "much": much}


@pytest.fixture
async def path(tmp_path: Path) -> AsyncIterator[Path]:
    async with Door(tmp_path / "sock", ANSWERS, patience_s=0.3):
        yield tmp_path / "sock"


async def ask(path: Path, **request: object) -> dict[str, Any]:
    return await client.ask(path, request)


async def raw(path: Path, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:
        return b""
    finally:
        writer.transport.abort()


async def test_questions_and_refusals(path: Path) -> None:
    assert await ask(path, do="echo", what="grüezi") == {"said": "grüezi"}
    with pytest.raises(ConfigError, match="no good") as refused:
        await ask(path, do="refuse")
    assert refused.value.hint == "mend it"
    with pytest.raises(Serial2IotError, match="a mistake of ours"):
        await ask(path, do="fail")
    with pytest.raises(Serial2IotError, match="not understood"):
        await ask(path, do="dance")


async def test_only_root_and_the_group_may_connect(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


@pytest.mark.parametrize("said", [b"\n", b"nonsense\n", b"[]\n", b'{"do":[]}\n', b"[" * 100_000 + b"\n"])
async def test_nonsense_gets_an_answer(path: Path, said: bytes) -> None:
    assert json.loads((await raw(path, said)).splitlines()[0])["ok"] is False
    assert await ask(path, do="echo") == {"said": None}


async def test_too_long_a_request_is_not_taken_in(path: Path) -> None:
    assert await raw(path, b"x" * (door.LARGEST * 2)) == b""
    assert await ask(path, do="echo") == {"said": None}


async def test_the_silent_and_the_slow_are_let_go_and_hold_up_nobody(path: Path) -> None:
    silent = [await asyncio.open_unix_connection(str(path)) for _ in range(door.MOST_CLIENTS - 2)]
    slow_reader, slow = await asyncio.open_unix_connection(str(path), limit=1)
    slow.write(b'{"do":"much"}\n')
    assert await ask(path, do="echo", what=1) == {"said": 1}
    for reader, writer in silent:
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
    with pytest.raises((asyncio.LimitOverrunError, asyncio.IncompleteReadError, ConnectionResetError)):
        await asyncio.sleep(0.5)  # its patience with a client that does not read
        await asyncio.wait_for(slow_reader.readexactly(4_000_000), 5)
    slow.transport.abort()


async def test_there_is_room_for_so_many_and_then_again(path: Path) -> None:
    crowd = [await asyncio.open_unix_connection(str(path)) for _ in range(door.MOST_CLIENTS)]
    for _, writer in crowd:
        writer.write(b'{"do":"echo"}\n')
    for reader, _ in crowd:
        await reader.readline()
    with pytest.raises(DaemonError):
        await ask(path, do="echo")
    for _, writer in crowd:
        writer.transport.abort()
    async with asyncio.timeout(5):
        while True:
            try:
                assert await ask(path, do="echo", what=2) == {"said": 2}
                break
            except DaemonError:
                await asyncio.sleep(0.01)


async def test_a_second_daemon_does_not_take_the_socket_away(path: Path) -> None:
    async with Door(path, {}):
        assert await ask(path, do="echo", what="first") == {"said": "first"}
    assert await ask(path, do="echo", what="still") == {"said": "still"}


async def test_where_no_socket_can_be_the_daemon_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with Door(tmp_path / "file" / "sock", ANSWERS):
        pass
    async with Door(tmp_path / ("long" * 40), ANSWERS):
        pass


async def test_a_daemon_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DaemonError, match="not running") as missing:
        await client.ask(tmp_path / "sock", {"do": "status"})
    assert "systemctl start" in missing.value.hint


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        ('[buffer]\npath = "spool/x.db"', {}, "spool/serial2iot.sock"),
        ("not toml [", {}, "/var/lib/serial2iot/serial2iot.sock"),
        ("", {"SERIAL2IOT_BUFFER__PATH": "/srv/s.db"}, "/srv/serial2iot.sock"),
        ("", {"RUNTIME_DIRECTORY": "/run/a:/run/b"}, "/run/a/serial2iot.sock"),
    ],
)
def test_where_it_is_looked_for(tmp_path: Path, text: str, environ: dict[str, str], expected: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(text)
    assert client.find(config, system=False, environ=environ) == tmp_path / expected


def test_the_system_configuration_has_the_folder_of_the_unit_unless_it_was_run_by_hand(
    tmp_path: Path,
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[buffer]\npath = "x.db"')
    assert client.find(config, system=True, environ={}) == Path("/run/serial2iot/serial2iot.sock")
    (tmp_path / "serial2iot.sock").touch()
    assert client.find(config, system=True, environ={}) == tmp_path / "serial2iot.sock"
