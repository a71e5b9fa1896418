"""What a configuration will do, for a person: what `serial2iot check` prints."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC

from serial2iot.cloud import topics
from serial2iot.port.options import PortOptions
from serial2iot.settings.result import PortSettings, Settings
from serial2iot.settings.values import size_text


def describe(settings: Settings) -> list[str]:
    """Lines to print: what is read, where it goes, and what is said of the device itself."""
    sections = (
        ("Ports and the topics they publish to", _ports(settings)),
        ("Telemetry", _telemetry(settings)),
        ("Presence", _presence(settings)),
        ("Connection", _connection(settings)),
        ("What the certificate's policy must allow", _policy(settings)),
        ("Buffer", _buffer(settings)),
        ("Log", [f"level {settings.log.level}; awscrt's own: {settings.log.crt_level}"]),
    )
    lines = [f"{settings.path}: the configuration of {settings.thing} is good"]
    for title, section in sections:
        lines += ["", title, *(f"  {line}" for line in section)]
    return lines


def _ports(settings: Settings) -> Iterator[str]:
    for each in settings.ports:
        topic = topics.fill(settings.telemetry.topic, port=each.port.name)
        yield f"{each.port.name} -> {topic}"
        yield f"  {_line(each.port)}; {_bytes(each)}"


def _line(port: PortOptions) -> str:
    if port.match:
        wanted = {"vid": _hex(port.match.vid), "pid": _hex(port.match.pid), "serial": port.match.serial}
        device = "the device with " + ", ".join(f"{key} {value}" for key, value in wanted.items() if value)
    else:
        device = str(port.device)
    mode = f"{port.data_bits}{port.parity[0].upper()}{port.stop_bits}"
    flow = "" if port.flow_control == "none" else f", {port.flow_control}"
    reset = "" if port.reset_on_open else ", without resetting the board"
    return f"{device} at {port.baud} baud, {mode}{flow}{reset}"


def _hex(number: int | None) -> str | None:
    return None if number is None else f"{number:04x}"


def _bytes(each: PortSettings) -> str:
    checked = f", {each.wire.checksum.kind} checked" if each.wire.checksum else ""
    return f"framing {each.wire.framing}{checked}; decoded as {each.wire.decode}"


def _telemetry(settings: Settings) -> Iterator[str]:
    telemetry = settings.telemetry
    if telemetry.layout == "single":
        yield "one reading a message"
    else:
        yield (
            f"up to {telemetry.max_readings} readings of one port a message, {size_text(telemetry.max_bytes)} at most,"
            f" sent after {telemetry.max_age_s:g} s at the latest"
        )
    if telemetry.limits == "aws":
        yield "never faster than AWS takes it: 100 messages/s and 512 KiB/s"
    else:
        yield "as fast as it comes: AWS would drop what is above its quotas"


def _presence(settings: Settings) -> Iterator[str]:
    yield f"-> {settings.presence.topic}"
    yield '{"state":{"reported":{"connected":true}}} first on every connection, false on a clean stop'
    gone_s = 1.5 * settings.session.keep_alive_s
    yield f"last will: the same with false, sent by the broker {gone_s:g} s after the device died at the latest"
    yield "a rule takes it to the shadow: SELECT * FROM this topic, republished to"
    yield f"$$aws/things/{settings.thing}/shadow/update"


def _connection(settings: Settings) -> Iterator[str]:
    session, credentials = settings.session, settings.credentials
    alpn = " with ALPN" if session.port == 443 else ""
    yield f"{session.endpoint}, port {session.port}{alpn}, as client {session.client_id}"
    kept = (
        f"kept by the broker for {session.session_expiry_s} s"
        if session.session_expiry_s
        else "clean each time"
    )
    yield f"keep-alive {session.keep_alive_s} s; session {kept}"
    until = credentials.not_after.astimezone(UTC).date()
    yield f"certificate {session.certificate}, valid until {until}"
    yield f"private key {session.private_key}"
    yield f"root CA {session.root_ca}"


def _policy(settings: Settings) -> Iterator[str]:
    """Topic by topic, in the words of an AWS IoT policy: what is missing there ends the connection unsaid."""
    shadow = f"$aws/things/{settings.thing}/shadow"
    telemetry = [topics.fill(settings.telemetry.topic, port=each.port.name) for each in settings.ports]
    heard = (f"{shadow}/update/documents", f"{shadow}/get/accepted", f"{shadow}/get/rejected")
    yield f"iot:Connect    client/{settings.session.client_id}"
    for topic in dict.fromkeys((settings.presence.topic, *telemetry, f"{shadow}/get")):
        yield f"iot:Publish    topic/{topic}"
    for topic in heard:
        yield f"iot:Subscribe  topicfilter/{topic}"
    for topic in heard:
        yield f"iot:Receive    topic/{topic}"


def _buffer(settings: Settings) -> Iterator[str]:
    spool = settings.spool
    yield f"{spool.path}, {size_text(spool.max_bytes)} at most, {size_text(spool.memory_max_bytes)} of it in memory"
    if spool.commit_after_s:
        yield f"on disk once a reading has waited for {spool.commit_after_s:g} s"
    else:
        yield "every reading is on disk before it is published"
    oldest = spool.when_full == "drop-oldest"
    yield f"when it is full, the {'oldest' if oldest else 'newest'} reading is dropped and counted"
