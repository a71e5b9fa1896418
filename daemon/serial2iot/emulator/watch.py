"""Looking on: the messages that match a filter, as they arrive, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Self

from serial2iot.emulator.link import Arrival, Link
from serial2iot.emulator.mosquitto import Broker


class Watch:
    """An observer on the private listener, made by `Emulator.watch`.

    It goes on over a restart of the broker. What passes before it is back, it does not see.
    """

    def __init__(self, broker: Broker, topic_filter: str) -> None:
        self.seen: list[Arrival] = []  # everything so far
        self._filter = topic_filter
        self._taken = 0
        self._more = asyncio.Event()
        self._broker = broker
        self._link = Link(broker.plain_port, [topic_filter], self._arrived)
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._link.run(), name=f"watch {self._filter}")
        self._broker.followers.append(self._link)
        try:
            await self._link.up()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._running is not None:
            self._broker.followers.remove(self._link)
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def take(self, count: int, within_s: float = 5.0) -> list[Arrival]:
        """Return the next `count` messages. Raises TimeoutError, which says what came, if there are fewer."""
        end = self._taken + count
        try:
            async with asyncio.timeout(within_s):
                while len(self.seen) < end:
                    await self._news()
        except TimeoutError:
            came = f"{len(self.seen) - self._taken} of {count} messages on {self._filter} in {within_s} s"
            last = [(arrival.topic, arrival.payload[:200]) for arrival in self.seen[-3:]]
            raise TimeoutError(f"{came}; the last of all: {last}") from None
        taken, self._taken = self.seen[self._taken : end], end
        return taken

    async def next(self, within_s: float = 5.0) -> Arrival:
        """Return the next message. Raises TimeoutError if there is none."""
        return (await self.take(1, within_s))[0]

    async def until(self, wanted: Callable[[Arrival], bool], within_s: float = 5.0) -> Arrival:
        """Return the next message that is wanted, passing over others. Raises TimeoutError without one."""
        async with asyncio.timeout(within_s):
            async for arrival in self:
                if wanted(arrival):
                    break
        return arrival

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Arrival:
        while self._taken == len(self.seen):
            await self._news()
        self._taken += 1
        return self.seen[self._taken - 1]

    async def _news(self) -> None:
        self._more.clear()
        await self._more.wait()

    def _arrived(self, arrival: Arrival) -> None:
        self.seen.append(arrival)
        self._more.set()
