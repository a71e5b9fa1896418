"""Two programs with one client id: the daemon names it, stays away, and does not fight."""

from pathlib import Path

from serial2iot.emulator.cloud import Emulator, EmulatorOptions
from tests.integration.test_session import connecting, options_for
from tests.scene import TELEMETRY, Scene

PRESENCE = "my/things/RPI/update"


async def test_a_takeover_that_the_server_announces_is_believed_at_once(scene: Scene) -> None:
    async with scene.daemon(scene.config()) as daemon:
        await daemon.said("presence confirmed")
        async with connecting(options_for(scene.cloud), will=PRESENCE):
            line = await daemon.said("client id taken")
        assert "client_id=RPI away_s=30" in line
        assert "mqtt.client_id" in line
        assert await daemon.stop() == 0


async def test_a_takeover_that_shows_only_as_hang_ups_is_recognised(
    tmp_path: Path, cloud_directory: Path
) -> None:
    # mosquitto hangs up without a word, as AWS often does.
    async with Emulator(EmulatorOptions(cloud_directory, front=False)) as cloud:
        scene = Scene(tmp_path, cloud)
        async with scene.board(period_s=0.05), scene.daemon(scene.config(layout="single")) as daemon:
            for round_ in range(3):  # the other one takes the id each time the daemon is back
                await daemon.said("presence confirmed", times=round_ + 1)
                async with cloud.watch(TELEMETRY) as watch:
                    await watch.next(20)  # a reading was acknowledged on this connection too
                async with connecting(options_for(cloud), will=PRESENCE):
                    await daemon.said("connection lost", times=round_ + 1)
            assert "client_id=RPI away_s=30" in await daemon.said("client id taken")
            assert await daemon.stop() == 0
