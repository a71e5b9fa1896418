"""Ports that vanish and return, boards behind a network, and a line at full speed: through real ptys and sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from serial2iot.emulator.arduino import SimulatedArduino
from tests.leaks import open_descriptors, tasks_left
from tests.scene import TELEMETRY, Arrivals, Scene
from tests.unit.port.lines import Taken, held, reader, reading, until

LINES = 20


@pytest.mark.parametrize(
    "times", [25, pytest.param(1000, marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
async def test_a_plug_that_comes_out_in_mid_line_again_and_again(tmp_path: Path, times: int) -> None:
    taken = Taken()
    board = SimulatedArduino(tmp_path / "ttyACM0", period_s=None)
    one = reader(board.link, taken)
    async with reading(one):
        await until(lambda: one.absent)
        descriptors, tasks = open_descriptors(), len(tasks_left())
        for turn in range(times):
            await board.plug()
            await until(lambda: one.device)
            await board.send_numbered(LINES, first=1 + turn * LINES)
            await board.send(b'{"n":4')
            await board.drained()
            await board.unplug()
            await until(lambda: one.device is None)
        assert not open_descriptors() - descriptors
        assert len(tasks_left()) == tasks
    delivered = [b'{"n":%d}' % n for n in range(1, 1 + times * LINES)]
    assert taken.bodies == delivered, "nothing that was delivered is missing, doubled or out of order"
    assert one.counts.bad_frames == {"cut_off": times}, "each line that was cut is counted"
    print(
        f"{times} times out and in: {len(taken)} of {len(delivered)} readings, {times} bad frames, descriptors level"
    )


class Adapter:
    """A serial server on the network, as far as the daemon can tell."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.url = f"socket://127.0.0.1:{self._socket.getsockname()[1]}"

    async def accept(self) -> socket.socket:
        async with asyncio.timeout(10):
            connection, _ = await asyncio.get_running_loop().sock_accept(self._socket)
        return connection

    def close(self) -> None:
        self._socket.close()


@contextlib.contextmanager
def deaf():
    """An address where connecting gets no answer: its queue of waiting connections is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with contextlib.ExitStack() as waiting:
            for _ in range(4):
                knock = waiting.enter_context(socket.socket())
                knock.setblocking(False)
                knock.connect_ex(listener.getsockname())
            yield f"socket://127.0.0.1:{listener.getsockname()[1]}"


def port(name: str, device: object, more: str = "") -> str:
    return f'[[serial]]\nname = "{name}"\ndevice = "{device}"\n{more}\n'


async def test_a_board_behind_a_network_adapter(scene: Scene) -> None:
    adapter = Adapter()
    with contextlib.closing(adapter):
        async with (
            scene.cloud.watch(TELEMETRY) as watch,
            scene.daemon(scene.config(serial=port("far", adapter.url))) as daemon,
        ):
            arrivals = Arrivals(watch)
            for turn in (0, 1):
                with await adapter.accept() as connection:
                    await daemon.said("far: port open", times=turn + 1)
                    connection.send(b"lf a line\n")
                    for n in (1, 2, 3):
                        connection.send(b'{"n":%d}\n' % (3 * turn + n))
                    await arrivals.until(3 * turn + 3)
                await daemon.said("far: port lost", times=turn + 1)
            assert [values for _, _, _, values in arrivals.readings()] == [{"n": n} for n in range(1, 7)]
            assert await daemon.stop() == 0


async def test_a_host_that_does_not_answer_holds_nobody_up(scene: Scene) -> None:
    with deaf() as nowhere:
        serial = port("far", nowhere) + port("near", scene.link)
        async with (
            scene.cloud.watch(TELEMETRY) as watch,
            scene.board() as board,
            scene.daemon(scene.config(serial=serial)) as daemon,
        ):
            await daemon.said("near: port open")
            await board.send_numbered(100)
            await Arrivals(watch).until(100)
            assert not [line for line in daemon.log if "far: port" in line], "it is still trying"
            await daemon.said("far: port absent: 127.0.0.1 does not answer")
            assert await daemon.stop() == 0


async def test_a_port_that_somebody_else_has_is_named_and_taken_when_it_is_free(scene: Scene) -> None:
    async with scene.cloud.watch(TELEMETRY) as watch, scene.board() as board:
        with contextlib.ExitStack() as other:
            pid = other.enter_context(held(str(scene.link.resolve()), "picocom", locked=True))
            async with scene.daemon(scene.config()) as daemon:
                await daemon.said(rf"port absent: {scene.link} is in use by picocom \(pid {pid}\)")
                other.close()
                await daemon.said("port open")
                await board.send_numbered(3)
                await Arrivals(watch).until(3)
                assert await daemon.stop() == 0


async def test_a_silent_port_is_said_to_be_silent_and_to_speak_again(scene: Scene) -> None:
    serial = port("arduino", scene.link, "silent_after_s = 0.3")
    async with scene.board() as board, scene.daemon(scene.config(serial=serial)) as daemon:
        await daemon.said("arduino: port silent")
        await daemon.said("port silent", times=3)
        async with scene.cloud.watch(TELEMETRY) as watch:
            async with asyncio.timeout(20):
                while not watch.seen:
                    await board.send(b"\n7\n")
                    await asyncio.sleep(0.1)
        await daemon.said("arduino: port speaks again")
        assert len([line for line in daemon.log if "warning" in line and "port silent" in line]) == 1
        assert await daemon.stop() == 0
