"""awscrt's client: how it is made, and what its answers mean in our words.

- The CRT's own flow control stays off: it throttles to half of what AWS allows in bytes. `quota` does it.
- No jitter mode: FULL and DECORRELATED fall below the floor (0.5 s and 0 s at a minimum of 1 s), and AWS takes one
  CONNECT a second per client id. The floor itself is drawn once from 1 to 3 s.
- `min_connected_time_to_reset_reconnect_delay_ms` is left alone: awscrt 0.36 writes it over the minimum delay. Its
  default, 30 s, is what we want: the back-off starts over only after a link that lasted.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from awscrt import io, mqtt5
from awscrt.exceptions import AwsCrtError
from awsiot import mqtt5_client_builder

from serial2iot.cloud.delivery import Delivery, of_puback
from serial2iot.cloud.options import SessionOptions
from serial2iot.errors import CredentialError

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


def build_client(
    options: SessionOptions, will: tuple[str, bytes], **callbacks: Callable[[Any], None]
) -> mqtt5.Client:
    """Make a client that is not started yet. `callbacks` run on the CRT's threads, under the builder's names.

    Raises CredentialError where certificate, key or root CA cannot be used.
    """
    topic, payload = will
    behaviour = mqtt5.ClientSessionBehaviorType
    try:
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
            **callbacks,
        )
    except Exception as error:  # a key that is none raises RuntimeError, a missing file AwsCrtError
        raise CredentialError(
            f"certificate and key cannot be used ({error}): {options.certificate}, {options.private_key}",
            key="mqtt.private_key",
            hint="both must be PEM files, and the key the one that the certificate was made for",
        ) from error


def _bootstrap() -> io.ClientBootstrap:
    # One thread serves one connection; the CRT's default is a thread per core, each with its own memory.
    group = io.EventLoopGroup(1)
    return io.ClientBootstrap(group, io.DefaultHostResolver(group))


def _socket_options() -> io.SocketOptions:
    options = io.SocketOptions()
    options.connect_timeout_ms = SOCKET_TIMEOUT_MS
    return options


def name_of(exception: BaseException | None) -> str:
    """What awscrt calls an error."""
    return str(exception.name) if isinstance(exception, AwsCrtError) else type(exception).__name__


def delivery_of(ended: Future[mqtt5.PublishCompletionData]) -> Delivery:
    """What became of a PUBLISH."""
    error = ended.exception()
    if error is None:
        return of_puback(ended.result().puback.reason_code)
    return _NO_PUBACK.get(name_of(error), Delivery.FAILED)


def suback_of(ended: Future[mqtt5.SubackPacket]) -> int | None:
    """The reason code of a SUBACK with one topic; None where none came."""
    return None if ended.exception() else int(ended.result().reason_codes[0])
