"""Wills between the end of a connection and their publication."""

from __future__ import annotations

import asyncio

from serial2iot.emulator.wills import Will, Wills

ONE, TWO = Will("one", "t", b"1", 1), Will("two", "t", b"2", 1)


def test_a_will_is_published_at_once() -> None:
    published: list[Will] = []
    Wills(published.append).due(ONE)
    assert published == [ONE]


def test_held_wills_are_released_in_order_and_then_held_no_more() -> None:
    published: list[Will] = []
    wills = Wills(published.append)
    wills.hold()
    wills.due(ONE)
    wills.due(TWO)
    assert (published, wills.pending) == ([], [ONE, TWO])
    wills.release()
    assert (published, wills.pending) == ([ONE, TWO], [])
    wills.due(ONE)
    assert published == [ONE, TWO, ONE] == wills.published


async def test_delayed_wills_may_overtake_each_other() -> None:
    published: list[Will] = []
    wills = Wills(published.append)
    wills.delay(0.04, 0.05)
    wills.due(ONE)
    wills.delay(0.001, 0.002)
    wills.due(TWO)
    assert wills.pending == [ONE, TWO]
    async with asyncio.timeout(2):
        while len(published) < 2:
            await asyncio.sleep(0.005)
    assert published == [TWO, ONE]


async def test_what_is_forgotten_is_never_published() -> None:
    published: list[Will] = []
    wills = Wills(published.append)
    wills.delay(0.001, 0.002)
    wills.due(ONE)
    wills.forget()
    wills.hold()
    wills.due(TWO)
    wills.forget()
    wills.release()
    await asyncio.sleep(0.01)
    assert (published, wills.pending) == ([], [])
