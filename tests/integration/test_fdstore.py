"""An update does not reset the Arduino: the open line outlives the daemon, with every byte on it.

The board is a pty whose other end sees whether the line was closed: that would have been its reset.
"""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path
from typing import Self

from tests.ask import command, report, until
from tests.scene import TELEMETRY, Arrivals, Scene


class HeldLine:
    """A board at the end of a line, which notices when nobody holds the other end."""

    def __init__(self, link: Path) -> None:
        self._link = link

    def __enter__(self) -> Self:
        self.master, slave = os.openpty()
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(os.ttyname(slave))
        os.close(slave)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.master)
        self._link.unlink()

    def say(self, data: bytes) -> None:
        assert os.write(self.master, data) == len(data)

    @property
    def closed(self) -> bool:
        """Whether nobody has it open: pty(7), a hang-up is seen on the master."""
        poll = select.poll()
        poll.register(self.master, 0)
        return bool(poll.poll(0))


def names(daemon) -> set[str]:
    return {name for name, _ in daemon.stored}


async def test_a_restart_goes_on_in_the_middle_of_a_line(scene: Scene) -> None:
    config = scene.config()
    with HeldLine(scene.link) as board:
        async with scene.cloud.watch(TELEMETRY) as watch, scene.daemon(config) as daemon:
            await daemon.said("port open")
            assert names(daemon) == {"line-arduino"}
            board.say(b'{"n":1}\n{"n"')
            await until(config, lambda report: report["ports"][0]["books"]["received"] == 1)
            assert await daemon.stop() == 0
            assert names(daemon) == {"line-arduino", "rest-arduino"}
            assert not board.closed, "the Arduino is not reset"
            board.say(b':2}\n{"n":3}\n')  # while no daemon runs

            await daemon.start()
            await daemon.said("port kept")
            arrivals = Arrivals(watch)
            await arrivals.until(3)
            assert [values["n"] for _, _, _, values in arrivals.readings()] == [1, 2, 3]
            seen = await report(config)
            assert seen["ports"][0]["wire"]["bad_frames"] == {}
            assert names(daemon) == {"line-arduino"}, "what was unfinished is used once"
            assert not board.closed
            assert await daemon.stop() == 0


async def test_after_a_kill_the_first_part_of_a_line_is_dropped_and_counted(scene: Scene) -> None:
    config = scene.config()
    with HeldLine(scene.link) as board:
        async with scene.cloud.watch(TELEMETRY) as watch, scene.daemon(config) as daemon:
            await daemon.said("port open")
            board.say(b'{"n":1}\n{"n"')
            await Arrivals(watch).until(1)
            daemon.signal(signal.SIGKILL)
            await daemon.exit()
            assert names(daemon) == {"line-arduino"}
            assert not board.closed
            board.say(b':2}\n{"n":3}\n')

            await daemon.start()
            await daemon.said("port kept")
            arrivals = Arrivals(watch)
            await arrivals.until(2)
            assert [values["n"] for _, _, _, values in arrivals.readings()] == [1, 3]
            assert (await report(config))["ports"][0]["wire"]["bad_frames"] == {"partial": 1}
            assert await daemon.stop() == 0


async def test_a_lost_line_leaves_the_store_and_the_next_one_is_opened(scene: Scene) -> None:
    config = scene.config()
    async with scene.daemon(config) as daemon:
        with HeldLine(scene.link):
            await daemon.said("port open")
        await daemon.said("port lost")
        await daemon.heard("FDSTOREREMOVE=1")
        assert names(daemon) == set(), "a stored copy would keep the lock"
        with HeldLine(scene.link) as board:
            await daemon.said("port open", times=2)
            board.say(b"1\n")
            await until(config, lambda report: report["ports"][0]["books"]["received"] == 1)
            assert await daemon.stop() == 0


async def test_what_no_port_claims_any_more_is_closed(scene: Scene) -> None:
    config, other = scene.config(), scene.place / "ttyUSB0"
    with HeldLine(scene.link) as old, HeldLine(other) as new:
        async with scene.daemon(config) as daemon:
            await daemon.said("port open")
            assert await daemon.stop() == 0
            scene.config(serial=f'[[serial]]\nname = "gps"\ndevice = "{other}"\n')
            await daemon.start()
            await daemon.said("gps: port open")
            assert old.closed
            assert names(daemon) == {"line-gps"}

            # The name stays and the device is another one: what was kept is of no use.
            assert await daemon.stop() == 0
            scene.config(serial=f'[[serial]]\nname = "gps"\ndevice = "{scene.link}"\n')
            await daemon.start()
            await daemon.said("gps: port not kept")
            await daemon.said("gps: port open", times=2)
            assert new.closed
            assert not old.closed
            assert await daemon.stop() == 0


async def test_a_reload_that_changes_what_bytes_mean_keeps_the_line_open(scene: Scene) -> None:
    config = scene.config()
    with HeldLine(scene.link) as board:
        async with scene.daemon(config) as daemon:
            await daemon.said("port open")
            board.say(b"1\n2")
            await until(config, lambda report: report["ports"][0]["books"]["received"] == 1)
            serial = (
                f'[[serial]]\nname = "arduino"\ndevice = "{scene.link}"\nbaud = 9600\ndecode = "number"\n'
            )
            scene.config(serial=serial)
            assert "port ~arduino" in (await command("reload", "--config", config)).out
            await daemon.said("port kept")
            assert not board.closed
            board.say(b"3\n")
            seen = await until(config, lambda report: report["ports"][0]["books"]["received"] == 2)
            assert seen["ports"][0]["last"]["values"] == {"value": 23}, "nothing was lost in between"
            assert not any("FDSTOREREMOVE" in line for line in daemon.notified)
            assert await daemon.stop() == 0
