"""Why there is no connection: words a person can act on, for everything the CRT says."""

import pytest

from serial2iot.cloud.diagnosis import LinkLoss, diagnose


def tell(error: str, code: int | None = None, *, connected: bool = False) -> LinkLoss:
    return diagnose(error, code, connected=connected, endpoint="e.example", port=8883, client_id="RPI")


@pytest.mark.parametrize(
    ("error", "reason", "hint"),
    [
        ("AWS_IO_DNS_INVALID_NAME", "e.example does not exist", "mqtt.endpoint"),
        ("AWS_IO_SOCKET_CONNECTION_REFUSED", "port 8883", "mqtt.port"),
        ("AWS_IO_SOCKET_TIMEOUT", "does not answer", "443"),
        ("AWS_IO_TLS_ERROR_NEGOTIATION_FAILURE", "TLS handshake", "mqtt.root_ca"),
        ("AWS_IO_TLS_ERROR_READ_FAILURE", "refused the device certificate", "mqtt.certificate"),
    ],
)
def test_each_error_names_the_setting_to_look_at(error: str, reason: str, hint: str) -> None:
    loss = tell(error)
    assert reason in loss.reason
    assert hint in loss.hint


def test_a_hang_up_is_never_all_that_is_said() -> None:
    connecting = tell("AWS_ERROR_MQTT_UNEXPECTED_HANGUP")
    connected = tell("AWS_ERROR_MQTT_UNEXPECTED_HANGUP", connected=True)
    assert "iot:Connect on client/RPI" in connecting.hint
    assert "iot:Publish" in connected.hint
    for loss in (connecting, connected):
        assert "HANGUP" not in loss.reason
        assert loss.unexplained


@pytest.mark.parametrize(
    ("code", "words"), [(0x87, "iot:Connect on client/RPI"), (0x8E, "stop the other one"), (0x97, "batch")]
)
def test_a_reason_code_says_more_than_the_error(code: int, words: str) -> None:
    loss = tell("AWS_ERROR_MQTT_UNEXPECTED_HANGUP", code, connected=True)
    assert words in loss.hint
    assert not loss.unexplained


@pytest.mark.parametrize(("code", "blamed"), [(0x90, True), (0x95, True), (0x99, True), (0x87, False)])
def test_only_three_codes_blame_a_message(code: int, blamed: bool) -> None:
    assert tell("X", code, connected=True).by_message is blamed


def test_what_nobody_has_seen_before_still_says_where_to_search() -> None:
    assert "AWS_SOMETHING_NEW" in tell("AWS_SOMETHING_NEW").reason
    assert "0xA2" in tell("X", 0xA2).reason
