"""The emulator as a whole: authority, front, broker, rules and shadows, from one `async with` to its end.

    async with Emulator(EmulatorOptions(directory)) as cloud:
        # a device connects to cloud.endpoint, cloud.port with cloud.credentials
        await cloud.until_reported(connected=True)

Rules:

1. When it is entered, devices can connect and every rule and the shadow service listen.
2. When it is left, whichever way, the broker is reaped, every task is done and every descriptor closed.
3. A part that dies is never restarted in silence: `failed` raises what it died of, and so does leaving.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from serial2iot.emulator.aws_files import aws_file
from serial2iot.emulator.debian import default_cache, find_mosquitto
from serial2iot.emulator.front import Front, Quotas
from serial2iot.emulator.link import Link
from serial2iot.emulator.mosquitto import Broker, BrokerOptions
from serial2iot.emulator.pki import Authority, Credentials
from serial2iot.emulator.policy import Policy, load_policy
from serial2iot.emulator.rules import Rule, load_rule
from serial2iot.emulator.services import RuleRunner, ShadowService
from serial2iot.emulator.shadow import ShadowKey
from serial2iot.emulator.shadow_document import Object, ShadowDocument
from serial2iot.emulator.watch import Watch
from serial2iot.errors import EmulatorError

OnShadow = Callable[[ShadowKey, ShadowDocument | None], None]


def rules_of_this_project() -> tuple[Rule, ...]:
    """Return the rules in `config/aws/`."""
    return (load_rule(aws_file("rule-presence.json")),)


def policy_of_this_project() -> Policy:
    """Return the policy in `config/aws/`."""
    return load_policy(aws_file("policy.json"))


@dataclass(frozen=True, slots=True)
class EmulatorOptions:
    """What to set up.

    Without `front`, devices reach mosquitto itself: no policy, wills as mosquitto sends them. `acl` and
    `listener_lines` are for that alone: see `BrokerOptions`.
    """

    directory: Path  # certificates, kept and used again
    thing: str = "RPI"
    port: int = 0  # 0: a free one
    rules: tuple[Rule, ...] = field(default_factory=rules_of_this_project)
    front: bool = True
    policy: Policy = field(default_factory=policy_of_this_project)
    quotas: Quotas = "none"
    acl: str | None = None
    listener_lines: tuple[str, ...] = ()
    cache: Path = field(default_factory=default_cache)  # for mosquitto, where it is not installed


class Emulator:
    """AWS IoT Core's part on this machine.

    `on_shadow` is called with each shadow that changed; its document is None when it was deleted.
    """

    endpoint = "localhost"
    authority: Authority  # signs certificates of further devices
    credentials: Credentials  # of the thing
    broker: Broker
    front: Front  # unless the options leave it out
    rules: dict[str, RuleRunner]  # by name

    def __init__(self, options: EmulatorOptions, on_shadow: OnShadow = lambda key, document: None) -> None:
        if options.front and (options.acl is not None or options.listener_lines):
            raise EmulatorError(
                "acl and listener_lines are for mosquitto's own listener", hint="set front=False as well"
            )
        self._options = options
        self._on_shadow = on_shadow
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def port(self) -> int:
        """Where devices connect."""
        return self.front.port if self._options.front else self.broker.port

    @property
    def plain_port(self) -> int:
        """The private listener: no TLS, no certificate, on 127.0.0.1."""
        return self.broker.plain_port

    @property
    def certificate(self) -> Path:
        """The certificate of the thing."""
        return self.credentials.certificate

    @property
    def private_key(self) -> Path:
        """The private key of the thing."""
        return self.credentials.private_key

    @property
    def root_ca(self) -> Path:
        """What the thing trusts."""
        return self.credentials.root_ca

    async def __aenter__(self) -> Self:
        options = self._options
        directory = options.directory.resolve()
        now = datetime.now(UTC)
        try:
            self.authority = Authority.open(directory, now)
            server = self.authority.server(now)
            self.credentials = self.authority.device(options.thing, now)
            program = await asyncio.to_thread(find_mosquitto, options.cache)
            broker_options = BrokerOptions(directory / "broker")
            if not options.front:
                broker_options = replace(
                    broker_options,
                    server=server,
                    port=options.port,
                    acl=options.acl,
                    listener_lines=options.listener_lines,
                )
            self.broker = Broker(program, broker_options)
            await self.broker.start()
            if options.front:
                ports = self.broker.plain_port, options.port
                self.front = Front(server, ports[0], options.policy, options.quotas, ports[1])
        except OSError as error:
            raise EmulatorError(
                f"cannot use {directory}: {error}", hint="choose a directory that you may write to"
            ) from error
        try:
            await self._start_services()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def _start_services(self) -> None:
        port = self.plain_port
        self.rules = {rule.name: RuleRunner(port, rule) for rule in self._options.rules}
        self._shadow_service = ShadowService(port, self._on_shadow)
        self._own_link = Link(port, (), lambda arrival: None)
        links = [self._own_link, self._shadow_service.link, *(rule.link for rule in self.rules.values())]
        if self._options.front:
            links.append(self.front.link)
        self._tasks += [asyncio.create_task(link.run(), name="emulator link") for link in links]
        self.broker.followers += links
        if self._options.front:
            self.broker.followers.append(self.front)  # after the links: who connects meets every service
        await self.broker.followed()

    async def _end(self) -> None:
        await self.broker.thaw()  # so that every link can say goodbye
        ending = [self.front.stop()] if self._options.front else []
        for rule in self.rules.values():
            rule.forget()
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*ending, *self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self.broker.kill()  # it has nothing to lose, and to stop takes it 0.1 s
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def failed(self) -> None:
        """Wait until a part ends that should not.

        Raises EmulatorError for the broker, and for another part what it died of.
        """
        broker = asyncio.create_task(self.broker.wait(), name="emulator broker")
        watching = {broker}
        if self._options.front:
            watching.add(asyncio.create_task(self.front.failed(), name="emulator front"))
        try:
            done, _ = await asyncio.wait({*watching, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in watching:
                task.cancel()
        for task in done - {broker}:
            task.result()
        raise EmulatorError(
            f"mosquitto ended: {self.broker.log_tail()}", hint=f"its log is {self.broker.log_file}"
        )

    def shadow(self, thing: str, name: str | None = None) -> Object:
        """Return a shadow with its state, metadata and version; an empty object if there is none."""
        document = self._shadow_service.shadows.document(ShadowKey(thing, name))
        return document.as_json() if document else {}

    def reported(self, thing: str | None = None) -> Object:
        """Return what a thing's classic shadow holds as reported; by default the thing of the options."""
        state: Object = self.shadow(thing or self._options.thing).get("state", {})
        return dict(state.get("reported", {}))

    async def until_reported(
        self, *, thing: str | None = None, within_s: float = 5.0, **values: Any
    ) -> Object:
        """Wait until a classic shadow reports these values, and return it as `shadow` does.

        Raises TimeoutError, which says what it reports instead.
        """
        try:
            async with asyncio.timeout(within_s):
                await self._shadow_service.until(lambda: values.items() <= self.reported(thing).items())
        except TimeoutError:
            raise TimeoutError(
                f"the shadow did not report {values} in {within_s} s, but {self.reported(thing)}"
            ) from None
        return self.shadow(thing or self._options.thing)

    def watch(self, topic_filter: str) -> Watch:
        """Look on what is published from now on: `async with cloud.watch("my/things/#") as watch`."""
        return Watch(self.broker, topic_filter)

    async def publish(self, topic: str, payload: bytes, qos: int = 1) -> None:
        """Publish as an application in the cloud would, when every rule listens, and wait for the PUBACK."""
        for link in self.broker.followers:
            await link.up()
        self._own_link.send(topic, payload, qos)
        await self._own_link.flushed()
