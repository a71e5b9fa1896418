"""Two programs with one client id: the daemon names it, stays away, and does not fight."""

from tests.scene import TELEMETRY, Scene
from tests.session_peer import connecting, options_for


async def test_another_client_with_our_id_is_named_and_not_fought(scene: Scene) -> None:
    async with (
        scene.board(period_s=0.05),
        scene.daemon(scene.config(layout="single")) as daemon,
    ):
        for round_ in range(3):  # the other one takes the id each time the daemon is back
            await daemon.said("presence confirmed", times=round_ + 1)
            async with scene.cloud.watch(TELEMETRY) as watch:
                await watch.next(20)  # a reading was acknowledged on this connection too
            async with connecting(options_for(scene.cloud), will="my/things/RPI/update"):
                await daemon.said("connection lost", times=round_ + 1)
        line = await daemon.said("client id taken")
        assert "client_id=RPI" in line
        assert "mqtt.client_id" in line
        assert "away_s=30" in line
        assert await daemon.stop() == 0
