"""What a test lets go wrong with chosen publishes of devices. Pure.

    front.faults.puback("my/things/+/telemetry", 0x97, times=3)
    front.faults.cut(lambda packet: b"poison" in packet.payload)
    front.faults.clear()

A fault is for a topic filter or for a predicate over the packet. The first that fits decides. It fits `times`
times; without that, always.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import mqtt5

from serial2iot.emulator.lifecycle import Reason
from serial2iot.emulator.rules import matches

Where: TypeAlias = str | Callable[[mqtt5.PublishPacket], bool]


@dataclass(frozen=True, slots=True)
class Puback:
    """Not passed on; answered with this PUBACK."""

    code: mqtt5.PubAckReasonCode


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Not passed on; the connection ends with this DISCONNECT."""

    code: mqtt5.DisconnectReasonCode
    reason: Reason = Reason.SERVER_INITIATED_DISCONNECT


@dataclass(frozen=True, slots=True)
class Cut:
    """Not passed on; the connection ends without a word: FIN, or RST."""

    reset: bool = False
    reason: Reason = Reason.SERVER_INITIATED_DISCONNECT


@dataclass(frozen=True, slots=True)
class Discard:
    """Not passed on, and not answered."""


@dataclass(frozen=True, slots=True)
class Withhold:
    """Passed on; its PUBACK is not."""


Effect: TypeAlias = Puback | Disconnect | Cut | Discard | Withhold


@dataclass(slots=True)
class Fault:
    """One fault. `hits` says how often it struck."""

    where: Where
    effect: Effect
    times: int | None
    hits: int = 0

    def strikes(self, packet: mqtt5.PublishPacket) -> bool:
        """Tell whether it fits this packet, and count that."""
        if self.times is not None and self.hits >= self.times:
            return False
        fits = matches(self.where, packet.topic) if isinstance(self.where, str) else self.where(packet)
        self.hits += fits
        return fits


class Faults:
    """The faults that are on. Each method returns its fault, for `hits` and `remove`."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def __bool__(self) -> bool:
        return bool(self._faults)

    def puback(self, where: Where, code: int, times: int | None = None) -> Fault:
        """Answer with a reason code (MQTT 5, 3.4.2.1). Raises ValueError for one that a PUBACK cannot have."""
        return self._add(where, Puback(mqtt5.PubAckReasonCode(code)), times)

    def disconnect(self, where: Where, code: int, times: int | None = None) -> Fault:
        """End the connection with a reason code (MQTT 5, 3.14.2.1). Raises ValueError for an unknown one."""
        return self._add(where, Disconnect(mqtt5.DisconnectReasonCode(code)), times)

    def cut(self, where: Where, times: int | None = None, *, reset: bool = False) -> Fault:
        """End the connection without a word: FIN, or RST."""
        return self._add(where, Cut(reset), times)

    def discard(self, where: Where, times: int | None = None) -> Fault:
        """Lose the message: nobody gets it, and no PUBACK comes."""
        return self._add(where, Discard(), times)

    def withhold(self, where: Where, times: int | None = None) -> Fault:
        """Lose only the PUBACK."""
        return self._add(where, Withhold(), times)

    def remove(self, fault: Fault) -> None:
        """Let one be over."""
        self._faults.remove(fault)

    def clear(self) -> None:
        """Let all be over."""
        self._faults.clear()

    def effect_on(self, packet: mqtt5.PublishPacket) -> Effect | None:
        """Return what happens to a packet, None for nothing."""
        return next((fault.effect for fault in self._faults if fault.strikes(packet)), None)

    def _add(self, where: Where, effect: Effect, times: int | None) -> Fault:
        fault = Fault(where, effect, times)
        self._faults.append(fault)
        return fault
