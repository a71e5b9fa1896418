"""The main job, whole: the real daemon, a real pty, the real broker over mutual TLS, the rule and the shadow."""

import json
import re
import signal

from tests.scene import TELEMETRY, Arrivals, Scene

LINES = 10_000


def books(daemon) -> dict[str, int]:
    """What the daemon said when it stopped: one number for each word."""
    line = next(line for line in daemon.log if "stopped" in line and "received=" in line)
    return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", line)}


def assert_balanced(sums: dict[str, int]) -> None:
    assert sums["carried_over"] + sums["received"] == sums["acknowledged"] + sums["waiting"] + sums["dropped"]


async def test_ten_thousand_lines_arrive_in_order_and_the_books_balance(scene: Scene) -> None:
    async with (
        scene.cloud.watch(TELEMETRY) as watch,
        scene.board() as board,
        scene.daemon(scene.config()) as daemon,
    ):
        await daemon.said("port open")
        await scene.cloud.until_reported(connected=True)
        await board.send_numbered(LINES)
        arrivals = Arrivals(watch)
        await arrivals.until(LINES)
        assert await daemon.stop() == 0
        seen = arrivals.readings()
        assert [seq for _, _, seq, _ in seen] == list(range(1, LINES + 1))
        assert [values["n"] for _, _, _, values in seen] == list(range(1, LINES + 1))
        sums = books(daemon)
        assert (sums["received"], sums["acknowledged"], sums["dropped"]) == (LINES, LINES, 0)
        assert_balanced(sums)


async def test_single_messages_look_as_they_should(scene: Scene) -> None:
    async with (
        scene.cloud.watch(TELEMETRY) as watch,
        scene.board() as board,
        scene.daemon(scene.config(layout="single")) as daemon,
    ):
        await daemon.said("port open")
        await board.send(b'{"t":23.4,"h":55}\r\nt:23.5,h:56\n12.5\n1,2,3\n')
        messages = [json.loads(arrival.payload) for arrival in await watch.take(4, within_s=15)]
        assert [message["values"] for message in messages] == [
            {"t": 23.4, "h": 55},
            {"t": 23.5, "h": 56},
            {"value": 12.5},
            {"value1": 1, "value2": 2, "value3": 3},
        ]
        assert list(messages[0]) == ["thing", "port", "run", "seq", "time", "values"]
        assert [message["seq"] for message in messages] == [1, 2, 3, 4]
        assert await daemon.stop() == 0


async def test_killed_the_shadow_says_false_and_the_next_run_is_another(scene: Scene) -> None:
    async with scene.cloud.watch(TELEMETRY) as watch, scene.board() as board:
        runs = []
        for _ in range(2):
            async with scene.daemon(scene.config()) as daemon:
                await daemon.said("port open")
                await scene.cloud.until_reported(connected=True, within_s=15)
                await board.send_numbered(1)
                runs.append(json.loads((await watch.next(within_s=10)).payload)["run"])
                daemon.signal(signal.SIGKILL)
                await daemon.exit()
                await scene.cloud.until_reported(connected=False)
        assert runs[0] < runs[1]


async def test_stopped_it_says_false_itself_and_the_will_is_not_sent(scene: Scene) -> None:
    async with scene.cloud.watch("my/things/RPI/update") as watch, scene.daemon(scene.config()) as daemon:
        await scene.cloud.until_reported(connected=True, within_s=15)
        assert await daemon.stop() == 0
        await scene.cloud.until_reported(connected=False)
        said = [json.loads(arrival.payload)["state"]["reported"]["connected"] for arrival in watch.seen]
        assert said == [True, False], "one birth, one goodbye, no will"
        goodbye = next(i for i, line in enumerate(daemon.log) if "connected=false" in line)
        assert "stopped" in "".join(daemon.log[goodbye:]), "acknowledged before it was over"


async def test_systemd_is_told_the_truth(scene: Scene) -> None:
    async with scene.board(period_s=0.1), scene.daemon(scene.config(), WATCHDOG_USEC="3000000") as daemon:
        await daemon.heard("READY=1")
        await daemon.heard("WATCHDOG=1")
        await daemon.heard("STATUS=connected;")
        assert any(f"arduino: {scene.link}" in line for line in daemon.notified)
        assert await daemon.stop() == 0
        assert "STOPPING=1" in daemon.notified
        assert daemon.notified.index("READY=1") < daemon.notified.index("STOPPING=1")


async def test_several_ports_each_with_its_own_numbers(scene: Scene) -> None:
    links = {name: scene.place / f"tty-{name}" for name in ("soil", "door")}
    serial = "".join(f'[[serial]]\nname = "{name}"\ndevice = "{link}"\n' for name, link in links.items())
    async with (
        scene.cloud.watch(TELEMETRY) as watch,
        scene.board(link=links["soil"]) as soil,
        scene.board(link=links["door"]) as door,
        scene.daemon(scene.config(serial=serial)) as daemon,
    ):
        await daemon.said("soil: port open")
        await daemon.said("door: port open")
        await soil.send_numbered(50)
        await door.send_numbered(70)
        arrivals = Arrivals(watch)
        await arrivals.until(120)
        for name, count in (("soil", 50), ("door", 70)):
            assert [seq for port, _, seq, _ in arrivals.readings() if port == name] == list(
                range(1, count + 1)
            )
        assert await daemon.stop() == 0
