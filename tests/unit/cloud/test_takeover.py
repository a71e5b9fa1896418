"""Another client with our id: recognised by what it does, and by nothing else."""

from serial2iot.cloud.diagnosis import LinkLoss
from serial2iot.cloud.takeover import STAYED_S, SUSPICIOUS, Takeover

HANG_UP = LinkLoss("ended", "", "AWS_ERROR_MQTT_UNEXPECTED_HANGUP")
SILENCE = LinkLoss("silent", "", "AWS_ERROR_MQTT5_PING_RESPONSE_TIMEOUT")
TAKEN = LinkLoss("taken", "", "AWS_ERROR_MQTT5_DISCONNECT_RECEIVED", 0x8E)


def test_the_server_says_so() -> None:
    assert Takeover().lost(TAKEN._replace(up_s=500.0), blameless=False) == 30.0


def test_short_links_that_end_in_hang_ups_without_our_fault() -> None:
    takeover = Takeover()
    waits = [takeover.lost(HANG_UP._replace(up_s=2.0), blameless=True) for _ in range(SUSPICIOUS + 2)]
    assert waits == [None] * (SUSPICIOUS - 1) + [30.0, 60.0, 120.0]
    assert takeover.suspected


def test_a_hang_up_that_may_be_our_fault_is_no_takeover() -> None:
    takeover = Takeover()
    assert [takeover.lost(HANG_UP._replace(up_s=2.0), blameless=False) for _ in range(20)] == [None] * 20


def test_a_bad_network_is_no_takeover() -> None:
    takeover = Takeover()
    assert [takeover.lost(SILENCE._replace(up_s=15.0), blameless=True) for _ in range(20)] == [None] * 20


def test_links_that_last_are_no_takeover() -> None:
    takeover = Takeover()
    assert [takeover.lost(HANG_UP._replace(up_s=30.0), blameless=True) for _ in range(20)] == [None] * 20


def test_once_the_other_is_gone_everything_is_as_before() -> None:
    takeover = Takeover()
    for _ in range(SUSPICIOUS + 3):
        takeover.lost(HANG_UP._replace(up_s=2.0), blameless=True)
    assert takeover.lost(HANG_UP._replace(up_s=STAYED_S), blameless=True) is None
    assert not takeover.suspected
    assert takeover.lost(TAKEN._replace(up_s=2.0), blameless=True) == 30.0
