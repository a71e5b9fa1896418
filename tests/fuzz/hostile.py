"""Bytes as no device should send them, and everything that has to bear them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from serial2iot.wire.options import FieldOptions, WireOptions
from tests.unit.wire.framings import FRAMES, FRAMINGS, SPECIAL
from tests.unit.wire.test_profiles import CASES
from tests.unit.wire.wiring import EXAMPLES, example

_FIELDS = (FieldOptions("a", "f32"), FieldOptions("b", "u64", scale=0.1), FieldOptions("c", "i16", at=14))
_PATTERNS = (r"t\s*=\s*(?P<t>\S+)", r"(?P<word>[a-z]+) (?P<number>[-\d.]+)", r"^\$")

DECODERS: dict[str, WireOptions] = {
    "auto": WireOptions(),
    "auto named": WireOptions(names=("t", "h")),
    "json": WireOptions(decode="json"),
    "plotter": WireOptions(decode="plotter"),
    "csv": WireOptions(decode="csv"),
    "csv named": WireOptions(decode="csv", names=("t", "h"), separator=";", text_keys=frozenset({"t"})),
    "number": WireOptions(decode="number"),
    "keyvalue": WireOptions(decode="keyvalue"),
    "regex": WireOptions(decode="regex", regex=_PATTERNS),
    "struct": WireOptions(framing="slip", decode="struct", fields=_FIELDS, endian="little"),
    "text": WireOptions(decode="text"),
    "changed": WireOptions(
        rename={"a": "t"}, scale={"t": 1e200}, offset={"t": -1.0}, dead_band={"t": 1.0}, min_interval_s=0.001
    ),
    "gap": WireOptions(framing="gap", gap_ms=20.0, max_frame_bytes=100),
}

SUBJECTS: dict[str, WireOptions] = {
    **{f"framing {name}": replace(options, decode="text") for name, options in FRAMINGS.items()},
    **{f"decode {name}": options for name, options in DECODERS.items()},
    **{path.name: example(path.name) for path in sorted(EXAMPLES.glob("*.toml"))},
}
"""Every framing, every decoder, every profile."""

_LINES = [
    b'{"t":23.4,"h":55}\r\n',
    b'{"t":nan,"id":99999999999999999999,"x":1e999,"s":"\\u00e9\\ud83d\\ude00"}\n',
    b'{"a":[1,{"b":[true,null,"x"]}]}\n',
    b"t:23.4,h:55\n",
    b"t:\th:\n",
    b"t,h\n1,2\n",
    b"t=23.4 h=nan mode=auto\n",
    b"23.4;55\n",
    b"-inf\n",
    *(sent for _, sent, _ in CASES),
]
_RUNS = [
    b"<",
    b"[",
    b'{"a":',
    b'"',
    b"\\",
    b'\\"',
    b" ",
    b"\t",
    b",",
    b":",
    b"=",
    b"a",
    b"9",
    b".",
    b"-",
    b"\0",
    b"\xff",
]
_RUNS += [b"\xaa\xc0", b"BM", b"\xff\x86", b"/", b"!", b"*", b"$", b"\r", b"\xdb", b"a:", b"a=", b"a,", b"1 "]


def stream(seed: int) -> Iterator[bytes]:
    """Chunks without end, of 1 to some thousands of bytes: noise, runs, frames, and frames that were damaged."""
    rng = random.Random(seed)
    while True:
        kind = rng.random()
        if kind < 0.15:
            piece = rng.randbytes(rng.randrange(1, 2000))
        elif kind < 0.25:
            piece = rng.choice(_RUNS) * rng.randrange(1, 1500)
        elif kind < 0.45:
            piece = b"".join(rng.choices(SPECIAL + FRAMES, k=rng.randrange(1, 60)))
        elif kind < 0.7:
            piece = b"".join(rng.choices(_LINES, k=rng.randrange(1, 10)))
        else:
            piece = _damaged(b"".join(rng.choices(_LINES, k=rng.randrange(1, 10))), rng)
        while piece:
            size = rng.choice((1, 3, 17, 64, 512, 4096))
            yield piece[:size]
            piece = piece[size:]


def _damaged(sent: bytes, rng: random.Random) -> bytes:
    """Bytes flipped, lost and doubled, as a bad cable or a full buffer does."""
    damaged = bytearray(sent)
    for _ in range(rng.randrange(1, 8)):
        place = rng.randrange(len(damaged))
        match rng.randrange(4):
            case 0:
                damaged[place] ^= 1 << rng.randrange(8)
            case 1:
                del damaged[place : place + rng.randrange(1, 20)]
            case 2:
                damaged[place:place] = damaged[place : place + rng.randrange(1, 40)]
            case 3:
                damaged[place] = rng.randrange(256)
        if not damaged:
            break
    return bytes(damaged)
