"""One MQTT 5 session with AWS IoT Core, on the loop.

How the client is made is in `crt`. Rules, each measured (see docs/decisions/0001-session.md):

- Clean start and FAIL_ALL_ON_DISCONNECT: only this pair lets the birth be the first PUBLISH of a connection.
  The CRT resends nothing; the spool does.
- Always `stop(DisconnectPacket())`: without a packet the socket just closes, and the will is sent.
- A PUBACK's reason code is read: the future resolves without an exception also for a refusal.

Nothing is published before `on_up` has run on the loop, so what `on_up` publishes first is the first PUBLISH
of the connection. A publish while the link is down is answered with CUT, and so is one that went with the link, at
the latest when the next connection is there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog
from awscrt import mqtt5

from serial2iot.cloud import crt
from serial2iot.cloud.crossing import Crossing
from serial2iot.cloud.delivery import Delivery
from serial2iot.cloud.diagnosis import LinkLoss, diagnose
from serial2iot.cloud.options import SessionOptions

log = structlog.get_logger()

OnDelivery = Callable[[Delivery], None]
OnMessage = Callable[[str, bytes], None]


class Session:
    """Connects, stays connected, and tells how each PUBLISH ended.

    `on_up` and `on_down` run on the loop at each edge; `on_down` always comes with its reason.
    """

    def __init__(
        self,
        options: SessionOptions,
        will: tuple[str, bytes],
        *,
        on_up: Callable[[], None],
        on_down: Callable[[LinkLoss], None],
        on_received: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._options = options
        self._on_up = on_up
        self._on_down = on_down
        self._on_received = on_received
        self._subscriptions: dict[str, tuple[OnMessage, Callable[[int | None], None]]] = {}
        self._up = False  # as the loop has it: raised just before on_up
        self._linked = (
            False  # as the CRT has it: lowered on its thread, so that nothing overtakes the next birth
        )
        self._failures = 0
        self._changed_at = time.monotonic()
        self.last_loss: tuple[float, LinkLoss] | None = None  # when (monotonic seconds) and why
        self._stopped = asyncio.Event()
        self._comeback: asyncio.TimerHandle | None = None
        self._crossing = Crossing(asyncio.get_running_loop())
        self._client = crt.build_client(
            options,
            will,
            on_publish_received=self._crt_received,
            on_lifecycle_stopped=self._crt_stopped,
            on_lifecycle_connection_success=self._crt_connected,
            on_lifecycle_connection_failure=self._crt_connect_failed,
            on_lifecycle_disconnection=self._crt_disconnected,
        )

    @property
    def up(self) -> bool:
        """Whether there is a connection."""
        return self._up

    @property
    def for_s(self) -> float:
        """Seconds since the connection came up or went."""
        return time.monotonic() - self._changed_at

    def start(self) -> None:
        """Begin to connect, and to reconnect whenever the link is lost. Returns at once."""
        self._client.start()

    def stay_away(self, seconds: float) -> None:
        """Connect no more for so long. What is still connected is disconnected, without a will."""
        self._client.stop(mqtt5.DisconnectPacket())
        self._comeback = asyncio.get_running_loop().call_later(seconds, self._come_back)

    async def stop(self, budget_s: float) -> None:
        """DISCONNECT and end. The will is not sent. Returns after `budget_s` in any case."""
        if self._comeback is not None:
            self._comeback.cancel()
            return  # it stays away, and so there is nothing to stop
        self._stopped.clear()
        self._client.stop(mqtt5.DisconnectPacket())
        try:
            await asyncio.wait_for(self._stopped.wait(), budget_s)
        except TimeoutError:
            log.warning("disconnect_timed_out", budget_s=budget_s)

    def publish(self, topic: str, payload: bytes, done: OnDelivery) -> None:
        """Publish at QoS 1. `done` is called on the loop, once, never from within this call."""
        if not (self._up and self._linked):
            self._crossing.post(done, Delivery.CUT)
            return
        packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE)
        future = self._client.publish(packet)
        future.add_done_callback(lambda ended: self._crossing.post(done, crt.delivery_of(ended)))

    def subscribe(
        self, topic: str, on_message: OnMessage, on_result: Callable[[int | None], None] = lambda code: None
    ) -> None:
        """Listen to a topic (no wildcards), now and again after every connection.

        `on_result` gets the SUBACK's reason code (0x80 and above is a refusal), or None where the link went
        before the SUBACK came: AWS cuts the link for a subscription that the policy does not allow.
        """
        self._subscriptions[topic] = (on_message, on_result)
        if self._up:
            self._send_subscribe(topic)

    def unsubscribe(self, topic: str) -> None:
        """Listen no more."""
        if self._subscriptions.pop(topic, None) and self._up:
            self._client.unsubscribe(mqtt5.UnsubscribePacket(topic_filters=[topic]))

    # Called on the CRT's threads: post to the loop and return. ---------------------------------------------

    def _crt_connected(self, data: mqtt5.LifecycleConnectSuccessData) -> None:
        self._linked = True
        self._crossing.post(self._connected)

    def _crt_disconnected(self, data: mqtt5.LifecycleDisconnectData) -> None:
        self._linked = False
        code = data.disconnect_packet.reason_code if data.disconnect_packet else None
        self._crossing.post(self._lost, crt.name_of(data.exception), code)

    def _crt_connect_failed(self, data: mqtt5.LifecycleConnectFailureData) -> None:
        code = data.connack_packet.reason_code if data.connack_packet else None
        self._crossing.post(self._failed, crt.name_of(data.exception), code)

    def _crt_stopped(self, data: mqtt5.LifecycleStoppedData) -> None:
        self._crossing.post(self._stopped.set)

    def _crt_received(self, data: mqtt5.PublishReceivedData) -> None:
        packet = data.publish_packet
        self._crossing.post(self._received, packet.topic, packet.payload or b"")

    # On the loop. ------------------------------------------------------------------------------------------

    def _connected(self) -> None:
        if not self._linked:
            return  # gone again before the loop came to it; the loss is posted behind this
        was_down_s = round(time.monotonic() - self._changed_at, 1)
        log.info("connected", endpoint=self._options.endpoint, down_s=was_down_s, failures=self._failures)
        self._changed_at = time.monotonic()
        self._failures = 0
        self._up = True
        self._on_up()
        for topic in self._subscriptions:
            self._send_subscribe(topic)

    def _lost(self, error: str, code: int | None) -> None:
        was_up, self._up = self._up, False
        if not was_up:
            return
        up_s = round(time.monotonic() - self._changed_at, 1)
        loss = self._diagnose(error, code, connected=True)._replace(up_s=up_s)
        self.last_loss = (time.monotonic(), loss)
        if error != "AWS_ERROR_MQTT5_USER_REQUESTED_STOP":
            log.warning("connection_lost", reason=loss.reason, hint=loss.hint, error=loss.error, up_s=up_s)
        self._changed_at = time.monotonic()
        self._on_down(loss)

    def _failed(self, error: str, code: int | None) -> None:
        if error == "AWS_ERROR_MQTT5_USER_REQUESTED_STOP":
            return
        loss = self._diagnose(error, code, connected=False)
        self.last_loss = (time.monotonic(), loss)
        say = log.debug if self._failures else log.warning
        say("connect_failed", reason=loss.reason, hint=loss.hint, error=loss.error)
        self._failures += 1

    def _received(self, topic: str, payload: bytes) -> None:
        self._on_received(len(topic) + len(payload))
        if topic in self._subscriptions:
            self._subscriptions[topic][0](topic, payload)

    def _send_subscribe(self, topic: str) -> None:
        subscription = mqtt5.Subscription(topic_filter=topic, qos=mqtt5.QoS.AT_LEAST_ONCE)
        future = self._client.subscribe(mqtt5.SubscribePacket(subscriptions=[subscription]))
        future.add_done_callback(
            lambda ended: self._crossing.post(self._subscribed, topic, crt.suback_of(ended))
        )

    def _subscribed(self, topic: str, code: int | None) -> None:
        if code is not None and code >= 0x80:
            hint = f"the policy needs iot:Subscribe on topicfilter/{topic}"
            log.warning("subscription_refused", topic=topic, reason_code=f"0x{code:02X}", hint=hint)
        if topic in self._subscriptions:
            self._subscriptions[topic][1](code)

    def _come_back(self) -> None:
        self._comeback = None
        self._client.start()

    def _diagnose(self, error: str, code: int | None, *, connected: bool) -> LinkLoss:
        options = self._options
        return diagnose(
            error,
            int(code) if code is not None else None,
            connected=connected,
            endpoint=options.endpoint,
            port=options.port,
            client_id=options.client_id,
        )
