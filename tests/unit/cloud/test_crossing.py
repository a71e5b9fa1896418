"""From the CRT's threads to the loop: in order, nothing lost, one wake-up a burst."""

import asyncio
import threading

from serial2iot.cloud.crossing import Crossing


async def test_what_threads_post_runs_on_the_loop_in_order() -> None:
    crossing, seen, home = Crossing(asyncio.get_running_loop()), [], threading.get_ident()
    done = asyncio.Event()

    def note(name: str, number: int) -> None:
        assert threading.get_ident() == home
        seen.append((name, number))
        if len(seen) == 4000:
            done.set()

    def post(name: str) -> None:
        for number in range(1000):
            crossing.post(note, name, number)

    threads = [threading.Thread(target=post, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    await asyncio.wait_for(done.wait(), 10)
    for thread in threads:
        thread.join()
    for name in "abcd":
        assert [number for who, number in seen if who == name] == list(range(1000))


async def test_a_burst_wakes_the_loop_once(monkeypatch) -> None:
    loop = asyncio.get_running_loop()
    woken, real = [], loop.call_soon_threadsafe
    monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *call: (woken.append(1), real(*call)))
    crossing, seen = Crossing(loop), []
    for number in range(100):
        crossing.post(seen.append, number)
    await asyncio.sleep(0)
    assert seen == list(range(100))
    assert len(woken) == 1


def test_posting_after_the_loop_has_closed_does_nothing() -> None:
    async def make() -> Crossing:
        return Crossing(asyncio.get_running_loop())

    crossing = asyncio.run(make())
    crossing.post(print, "never")
