"""What became of one PUBLISH, and what a reason code means.

MQTT 5 (OASIS, 7 March 2019), 3.4.2.1: a PUBACK reason code below 0x80 is a success; 0x10 says that nobody
subscribes to the topic. awscrt resolves a publish without an exception whatever the code is, so the code is
what counts.
"""

from __future__ import annotations

from enum import Enum


class Delivery(Enum):
    """The fate of one message, in the words that decide what to do next."""

    ACKNOWLEDGED = "acknowledged"
    UNHEARD = "unheard"  # 0x10: taken, but nobody subscribes: is there a rule?
    REFUSED = "refused"  # 0x87: the policy does not allow this topic
    QUOTA = "quota"  # 0x97: too much, too fast
    INVALID = "invalid"  # 0x90, 0x95, 0x99: this very message will never be taken
    FAILED = "failed"  # any other refusal: the broker's own trouble
    TIMED_OUT = "timed_out"  # no PUBACK in time: counts as "slow down"
    CUT = "cut"  # the link went before the answer came: nothing is known

    @property
    def good(self) -> bool:
        """Whether the broker has taken the message."""
        return self in (Delivery.ACKNOWLEDGED, Delivery.UNHEARD)


INVALID_CODES = frozenset({0x90, 0x95, 0x99})
"""Topic name invalid, packet too large, payload format invalid (MQTT 5, 2.4): retrying cannot help."""

_BY_CODE = {0x10: Delivery.UNHEARD, 0x87: Delivery.REFUSED, 0x97: Delivery.QUOTA}


def of_puback(reason_code: int | None) -> Delivery:
    """The fate that a PUBACK's reason code announces; None is a code that the protocol does not know."""
    if reason_code is None:
        return Delivery.FAILED
    if reason_code in _BY_CODE:
        return _BY_CODE[reason_code]
    if reason_code < 0x80:
        return Delivery.ACKNOWLEDGED
    return Delivery.INVALID if reason_code in INVALID_CODES else Delivery.FAILED
