"""One MQTT 5 session with AWS IoT Core: the only module that knows awscrt.

Rules, each measured (see docs/decisions/0001-session.md):

- Clean start and FAIL_ALL_ON_DISCONNECT: only this pair lets the birth be the first PUBLISH of a connection.
  The CRT resends nothing; the spool does.
- The CRT's own flow control stays off: it throttles to half of what AWS allows in bytes. `quota` does it.
- No jitter mode: FULL and DECORRELATED fall below the floor (0.5 s and 0 s at a minimum of 1 s), and AWS
  takes one CONNECT a second per client id. The floor itself is drawn once from 1 to 3 s.
- `min_connected_time_to_reset_reconnect_delay_ms` is left alone: awscrt 0.36 writes it over the minimum delay.
  Its default, 30 s, is what we want: the back-off starts over only after a link that lasted.
- Always `stop(DisconnectPacket())`: without a packet the socket just closes, and the will is sent.
- A PUBACK's reason code is read: the future resolves without an exception also for a refusal.

Nothing is published before `on_up` has run on the loop, so what `on_up` publishes first is the first PUBLISH
of the connection. A publish while the link is down is answered with CUT, and so is one that went with the link, at
the latest when the next connection is there.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import structlog
from awscrt import io, mqtt5
from awscrt.exceptions import AwsCrtError
from awsiot import mqtt5_client_builder

from serial2iot.cloud.crossing import Crossing
from serial2iot.cloud.delivery import Delivery, of_puback
from serial2iot.cloud.diagnosis import LinkLoss, diagnose
from serial2iot.cloud.options import SessionOptions
from serial2iot.errors import CredentialError

log = structlog.get_logger()

RECONNECT_FLOOR_MS = (1000, 3000)  # drawn once per session, so that a fleet does not return as one
RECONNECT_CAP_MS = 60_000
ACK_TIMEOUT_S = 10
PING_TIMEOUT_MS = 10_000  # must be below the keep-alive, which is at least 30 s
CONNACK_TIMEOUT_MS = 20_000
SOCKET_TIMEOUT_MS = 10_000

# How the CRT says that a PUBLISH had no PUBACK. What is not listed is its own trouble: FAILED.
_NO_PUBACK = {
    "AWS_ERROR_MQTT5_OPERATION_FAILED_DUE_TO_OFFLINE_QUEUE_POLICY": Delivery.CUT,
    "AWS_ERROR_MQTT5_USER_REQUESTED_STOP": Delivery.CUT,
    "AWS_ERROR_MQTT5_CLIENT_TERMINATED": Delivery.CUT,
    "AWS_ERROR_MQTT_TIMEOUT": Delivery.TIMED_OUT,
    "AWS_ERROR_MQTT5_PACKET_VALIDATION": Delivery.INVALID,  # larger than the server's maximum packet size
    "AWS_ERROR_MQTT5_PUBLISH_OPTIONS_VALIDATION": Delivery.INVALID,
}

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
        self._will = will
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
        self._crossing = Crossing(asyncio.get_running_loop())
        try:
            self._client = self._build()
        except (
            Exception
        ) as error:  # the CRT reads the files here, and raises RuntimeError for a key that is none
            raise CredentialError(
                f"certificate and key cannot be used ({error}): {options.certificate}, {options.private_key}",
                key="mqtt.private_key",
                hint="both must be PEM files, and the key the one that the certificate was made for",
            ) from error

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

    async def stop(self, budget_s: float) -> None:
        """DISCONNECT and end. The will is not sent. Returns after `budget_s` in any case."""
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
        future.add_done_callback(lambda ended: self._crossing.post(done, _delivery(ended)))

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
        self._crossing.post(self._lost, _name(data.exception), code)

    def _crt_connect_failed(self, data: mqtt5.LifecycleConnectFailureData) -> None:
        code = data.connack_packet.reason_code if data.connack_packet else None
        self._crossing.post(self._failed, _name(data.exception), code)

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
        if self._stopped.is_set() or not was_up:
            return
        loss = self._diagnose(error, code, connected=True)
        self.last_loss = (time.monotonic(), loss)
        if error != "AWS_ERROR_MQTT5_USER_REQUESTED_STOP":
            up_s = round(time.monotonic() - self._changed_at, 1)
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
        future.add_done_callback(lambda ended: self._crossing.post(self._subscribed, topic, _suback(ended)))

    def _subscribed(self, topic: str, code: int | None) -> None:
        if code is not None and code >= 0x80:
            hint = f"the policy needs iot:Subscribe on topicfilter/{topic}"
            log.warning("subscription_refused", topic=topic, reason_code=f"0x{code:02X}", hint=hint)
        if topic in self._subscriptions:
            self._subscriptions[topic][1](code)

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

    def _build(self) -> mqtt5.Client:
        options = self._options
        topic, payload = self._will
        behaviour = mqtt5.ClientSessionBehaviorType
        return mqtt5_client_builder.mtls_from_path(
            cert_filepath=str(options.certificate),
            pri_key_filepath=str(options.private_key),
            ca_filepath=str(options.root_ca),
            endpoint=options.endpoint,
            port=options.port,  # on 443 the builder adds ALPN x-amzn-mqtt-ca
            client_bootstrap=_bootstrap(),
            socket_options=_socket_options(),
            client_id=options.client_id,
            keep_alive_interval_sec=options.keep_alive_s,
            session_expiry_interval_sec=options.session_expiry_s or None,
            session_behavior=behaviour.REJOIN_POST_SUCCESS if options.session_expiry_s else behaviour.CLEAN,
            offline_queue_behavior=mqtt5.ClientOperationQueueBehaviorType.FAIL_ALL_ON_DISCONNECT,
            extended_validation_and_flow_control_options=mqtt5.ExtendedValidationAndFlowControlOptions.NONE,
            retry_jitter_mode=mqtt5.ExponentialBackoffJitterMode.NONE,
            min_reconnect_delay_ms=random.randint(*RECONNECT_FLOOR_MS),
            max_reconnect_delay_ms=RECONNECT_CAP_MS,
            ping_timeout_ms=PING_TIMEOUT_MS,
            connack_timeout_ms=CONNACK_TIMEOUT_MS,
            ack_timeout_sec=ACK_TIMEOUT_S,
            enable_metrics_collection=False,  # else the builder writes SDK metrics into the user name
            will=mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE),
            on_publish_received=self._crt_received,
            on_lifecycle_stopped=self._crt_stopped,
            on_lifecycle_connection_success=self._crt_connected,
            on_lifecycle_connection_failure=self._crt_connect_failed,
            on_lifecycle_disconnection=self._crt_disconnected,
        )


def _bootstrap() -> io.ClientBootstrap:
    # One thread serves one connection; the CRT's default is a thread per core, each with its own memory.
    group = io.EventLoopGroup(1)
    return io.ClientBootstrap(group, io.DefaultHostResolver(group))


def _socket_options() -> io.SocketOptions:
    options = io.SocketOptions()
    options.connect_timeout_ms = SOCKET_TIMEOUT_MS
    return options


def _name(exception: Any) -> str:
    return exception.name if isinstance(exception, AwsCrtError) else type(exception).__name__


def _delivery(ended: Future[mqtt5.PublishCompletionData]) -> Delivery:
    error = ended.exception()
    if error is None:
        return of_puback(ended.result().puback.reason_code)
    return _NO_PUBACK.get(_name(error), Delivery.FAILED)


def _suback(ended: Future[mqtt5.SubackPacket]) -> int | None:
    return None if ended.exception() else int(ended.result().reason_codes[0])
