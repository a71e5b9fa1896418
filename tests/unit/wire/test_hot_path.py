"""What a reading costs on its way through the wire room, next to the least that it could cost."""

from __future__ import annotations

from timeit import repeat

import msgspec

from serial2iot.wire.options import WireOptions
from serial2iot.wire.pipeline import Pipeline

LINES = 64
CHUNK = b'{"t":23.4,"h":55,"seq":123456}\r\n' * LINES
MOST_TIMES_BARE = 1.5


def test_json_lines_cost_little_more_than_the_codec() -> None:
    decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
    pipeline = Pipeline(WireOptions())

    def bare() -> list[bytes]:
        return [encode(decode(line)) for line in CHUNK.split(b"\n") if line]

    def ours() -> list[bytes]:
        return pipeline.feed(CHUNK, 0.0).bodies

    assert ours() == bare()
    for _ in range(5):  # a shared machine may disturb one round
        bare_us, ours_us = (
            min(repeat(each, number=50, repeat=20)) / 50 / LINES * 1e6 for each in (bare, ours)
        )
        if ours_us <= MOST_TIMES_BARE * bare_us:
            break
    print(
        f"a reading: {ours_us:.2f} us, split + decode + encode alone {bare_us:.2f} us, x {ours_us / bare_us:.2f}"
    )
    assert ours_us <= MOST_TIMES_BARE * bare_us
