"""Hostile bytes into every framer and decoder: no exception, no growth, no frame beyond its limit, only JSON out."""

from __future__ import annotations

import gc
import json
import time
import zlib
from pathlib import Path
from typing import NoReturn

import pytest

from serial2iot.wire.decode import decoder
from serial2iot.wire.frame import HEAD_BYTES, BadFrame
from serial2iot.wire.options import LARGEST_FRAME_BYTES, WireOptions
from serial2iot.wire.pipeline import Pipeline
from serial2iot.wire.rules import check
from serial2iot.wire.scalars import encode
from tests.fuzz.hostile import DECODERS, SUBJECTS, stream

EVERYDAY_BYTES = 20_000  # for each subject, twice
LONG_BYTES = 100_000_000  # for all of them together
GROWTH_BYTES = 16 << 20


def _refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is not JSON")


class _Bearing:
    """Feeds one subject and asserts what must hold, whatever came."""

    def __init__(self, options: WireOptions, *, listened: bool) -> None:
        check(options)
        self.readings = 0
        self.bad = 0
        self._options = options
        # With a listener the pipeline takes another way, and shows its frames.
        self._pipeline = Pipeline(options, claim=self._see) if listened else Pipeline(options)
        self._pipeline.reset(partial=True, now=0.0)
        self._limit = options.max_frame_bytes

    def bear(self, seed: int, budget: int) -> None:
        now, fed = 0.0, 0
        for chunk in stream(seed):
            now += 0.03 if fed % 5 == 0 else 0.0005
            for bodies, bad in (self._pipeline.flush(now), self._pipeline.feed(chunk, now)):
                self._judge(bodies, bad)
            fed += len(chunk)
            if fed >= budget:
                break
        assert self._pipeline.counts.bytes == fed
        assert self._pipeline.counts.bad_frames.total() == self.bad

    def _see(self, frame: bytes) -> bool:
        assert len(frame) <= self._limit
        return False

    def _judge(self, bodies: list[bytes], bad: list[BadFrame]) -> None:
        for body in bodies:
            assert isinstance(json.loads(body, parse_constant=_refuse), dict)
        for frame in bad:
            assert frame.size > 0
            assert len(frame.head) <= HEAD_BYTES
        self.readings += len(bodies)
        self.bad += len(bad)


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("listened", [False, True])
def test_bears_hostile_bytes(name: str, listened: bool) -> None:
    bearing = _Bearing(SUBJECTS[name], listened=listened)
    bearing.bear(zlib.crc32(name.encode()) + listened, EVERYDAY_BYTES)
    assert bearing.readings + bearing.bad > 0


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_bears_a_hundred_megabytes(capsys: pytest.CaptureFixture[str]) -> None:
    each = LONG_BYTES // (2 * len(SUBJECTS)) + 1
    readings = bad = 0
    began = time.monotonic()
    grown = []
    for seed, (name, options) in enumerate(SUBJECTS.items()):
        for listened in (False, True):
            gc.collect()
            before = _resident()
            bearing = _Bearing(options, listened=listened)
            bearing.bear(1000 + 2 * seed + listened, each)
            gc.collect()
            grown.append((_resident() - before, name))
            readings += bearing.readings
            bad += bearing.bad
    took = time.monotonic() - began
    worst, name = max(grown)
    with capsys.disabled():
        fed = 2 * len(SUBJECTS) * each
        print(f"\n{fed / 1e6:.0f} MB of hostile bytes, {len(SUBJECTS)} subjects, {took:.0f} s: no exception;")
        print(f"{readings} readings, {bad} bad frames; most growth {worst / 1e6:.1f} MB ({name})")
    assert worst < GROWTH_BYTES


# What makes a careless pattern or parser take time that grows with the square of the frame.
KILLERS = [
    *(
        b'"' * 2,
        b'\\"',
        b'{"a":"',
        b"[",
        b'{"a":',
        b" ",
        b"\t",
        b" \t",
        b", ",
        b"a ",
        b"a:",
        b"a: ",
        b":",
        b"=",
        b"a=",
    ),
    *(
        b"a=b ",
        b"a=\\",
        b"9",
        b"9.",
        b"9 ",
        b"-",
        b"nan",
        b"nan,",
        b"a,",
        b"a\t",
        b"a,a",
        b"\xc2\xb0",
        b"\xff",
        b"$",
    ),
]


@pytest.mark.parametrize("name", sorted(DECODERS.keys() - {"regex"}))  # whose patterns are their owner's
def test_time_grows_with_the_frame_not_with_its_square(name: str) -> None:
    decoding = decoder(DECODERS[name])
    for killer in KILLERS:
        for begin, end in (
            (b"", b""),
            (b"{", b"}"),
            (b'{"a":nan,"b":"', b""),
            (b"a", b":x"),
            (b"a", b"="),
            (b"1", b"x"),
        ):
            frame = begin + killer * (LARGEST_FRAME_BYTES // len(killer) - 20) + end
            began = time.process_time()
            outcome = decoding.decode(frame)
            took = time.process_time() - began
            assert took < 1.0, f"{took:.1f} s for {begin!r} {killer!r}... {end!r}"
            if outcome and not isinstance(outcome, BadFrame):
                encode(outcome)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
