"""From an Arduino sketch to a board that runs here: Debian's AVR compiler and Arduino core, and avr_board.c.

It does what arduino-cli does for an Uno, by hand: nothing is downloaded, nothing needs Java (decision 0004).

What is built lies in a cache, each piece in a directory named by a hash of all that went into it, so nothing
in it is ever stale. A piece is made in a directory of its own and renamed into place: a build that was
interrupted leaves nothing that looks finished, and two at once do not disturb each other.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from serial2iot.errors import EmulatorError

_HARDWARE = Path("/usr/share/arduino/hardware/arduino/avr")
_CORE = _HARDWARE / "cores/arduino"
_VARIANT = _HARDWARE / "variants/standard"
_BOARD_SOURCE = Path(__file__).with_name("avr_board.c")

_PACKAGES = {  # by the file or command that each brings
    "gcc-avr": "avr-g++",
    "avr-libc": "/usr/lib/avr/include/avr/io.h",
    "arduino-core-avr": str(_CORE / "Arduino.h"),
    "gcc": "gcc",
    "libc6-dev": "/usr/include/stdio.h",
    "libsimavr-dev": "/usr/include/simavr/sim_avr.h",
}

# The recipes of platform.txt and boards.txt in arduino-core-avr, for the Uno.
_CHIP = [
    "-mmcu=atmega328p",
    "-DF_CPU=16000000L",
    "-DARDUINO=10819",
    "-DARDUINO_AVR_UNO",
    "-DARDUINO_ARCH_AVR",
]
_COMMON = ["-g", "-Os", "-w", "-ffunction-sections", "-fdata-sections", "-flto", *_CHIP]
_INCLUDE = [f"-I{_CORE}", f"-I{_VARIANT}"]
_C = ["avr-gcc", "-c", *_COMMON, "-std=gnu11", "-fno-fat-lto-objects", *_INCLUDE]
_CPP = ["avr-g++", "-c", *_COMMON, "-std=gnu++11", "-fpermissive", "-fno-exceptions"]
_CPP += ["-fno-threadsafe-statics", "-Wno-error=narrowing", *_INCLUDE]
_CPP += ["-DDECIMAL_DIG=__DECIMAL_DIG__"]  # WString.cpp wants it, gcc 5's <float.h> has it in C only
_ASSEMBLER = ["avr-gcc", "-c", "-g", "-x", "assembler-with-cpp", "-flto", *_CHIP, *_INCLUDE]
_LINK = [
    "avr-gcc",
    "-w",
    "-Os",
    "-g",
    "-flto",
    "-fuse-linker-plugin",
    "-Wl,--gc-sections",
    "-mmcu=atmega328p",
]
_HOST = ["gcc", "-O2", "-std=gnu11", "-Wall", "-Wextra"]


def missing_tools() -> list[str]:
    """The Debian packages that have to be installed before a board with firmware can be built."""
    return [
        package for package, sign in _PACKAGES.items() if not shutil.which(sign) and not Path(sign).exists()
    ]


def build_sketch(sketch: Path, cache: Path) -> Path:
    """Compile a sketch (its .ino file) for the Uno; returns the ELF file.

    Headers beside the sketch are found; other tabs and libraries are not. The first build makes the core too.
    Raises EmulatorError when a package is missing, or with the compiler's words when the sketch is wrong.
    """
    _require_tools()
    try:
        source = sketch.read_text(encoding="utf-8")
        headers = sorted(sketch.parent.glob("*.h"))
        key = _digest([str(sketch).encode(), source.encode(), *(h.read_bytes() for h in headers)])
    except (OSError, UnicodeDecodeError) as error:
        raise EmulatorError(f"the sketch {sketch} cannot be read: {error}") from error
    core = _build_core(cache)

    def make(out: Path) -> None:
        (out / "sketch.cpp").write_text(with_prototypes(source, sketch), encoding="utf-8")
        _run(
            [*_CPP, f"-I{sketch.parent.absolute()}", "sketch.cpp"],
            out,
            f"the sketch {sketch} does not compile",
        )
        link = [*_LINK, "-o", "sketch.elf", "sketch.o", str(core), "-lm"]
        _run(link, out, f"the sketch {sketch} does not link")

    return _cached(cache, f"sketch-{_digest([key.encode(), core.parent.name.encode()])}", make) / "sketch.elf"


def build_board(cache: Path) -> Path:
    """Compile the program that runs firmware; returns it. Raises EmulatorError when a package is missing."""
    _require_tools()
    simavr = sorted(Path("/usr/include/simavr").glob("*.h"))  # another libsimavr needs another build

    def make(out: Path) -> None:
        command = [*_HOST, "-o", "avr_board", str(_BOARD_SOURCE), "-lsimavr"]
        _run(command, out, "the program that runs firmware does not compile")

    parts = [_BOARD_SOURCE.read_bytes(), " ".join(_HOST).encode(), *(h.read_bytes() for h in simavr)]
    return _cached(cache, f"board-{_digest(parts)}", make) / "avr_board"


_NO_CODE = re.compile(
    r"""//[^\n]* | /\*.*?\*/                                    # comments
      | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'               # strings, characters
      | ^[ \t]*\#(?:\\\n|[^\n])*                                # preprocessor lines""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_FUNCTION = re.compile(r"^(?!template\b)(\w[\w\s*&<>,]*?[\s*&]\w+\s*\([^(){};=]*\))\s*\{", re.MULTILINE)


def with_prototypes(source: str, name: Path) -> str:
    """A sketch as C++: every function declared before the first is defined, as the Arduino IDE does it.

    Functions with default arguments, templates and the like are left alone: those the sketch has to declare
    before their use. Lines keep their numbers in the compiler's messages, under `name`.
    """
    plain = _NO_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), source)
    functions = list(_FUNCTION.finditer(_top_level(plain)))
    at = functions[0].start() if functions else len(source)
    prototypes = "".join(f"{' '.join(found[1].split())};\n" for found in functions)
    line = source.count("\n", 0, at) + 1
    head = f'#include <Arduino.h>\n#line 1 "{name}"\n'
    return f'{head}{source[:at]}\n{prototypes}#line {line} "{name}"\n{source[at:]}\n'


def _top_level(plain: str) -> str:
    """The same text with everything inside braces blanked, the braces themselves kept."""
    depth = 0
    kept = []
    for character in plain:
        depth -= character == "}"
        kept.append(character if depth == 0 or character == "\n" else " ")
        depth += character == "{"
    return "".join(kept)


def _build_core(cache: Path) -> Path:
    """Debian's Arduino core as an archive to link against."""
    sources = sorted(path for path in [*_CORE.rglob("*"), *_VARIANT.rglob("*")] if path.is_file())

    def make(out: Path) -> None:
        # A directory each: wiring_pulse exists in C and in assembler.
        for compiler, suffix in ((_C, "c"), (_CPP, "cpp"), (_ASSEMBLER, "S")):
            (out / suffix).mkdir()
            files = [str(path) for path in sorted(_CORE.glob(f"*.{suffix}"))]
            _run([*compiler, *files], out / suffix, "Debian's Arduino core does not compile")
        objects = [str(path) for path in sorted(out.glob("*/*.o"))]
        _run(["avr-gcc-ar", "rcs", "core.a", *objects], out, "Debian's Arduino core cannot be archived")

    version = subprocess.run(["avr-gcc", "--version"], capture_output=True, check=True).stdout
    flags = " ".join([*_C, *_CPP, *_ASSEMBLER, *_LINK]).encode()
    return (
        _cached(cache, f"core-{_digest([version, flags, *(s.read_bytes() for s in sources)])}", make)
        / "core.a"
    )


def _require_tools() -> None:
    if missing := missing_tools():
        raise EmulatorError(
            f"to run firmware here, these packages are missing: {', '.join(missing)}",
            hint=f"sudo apt-get install --no-install-recommends {' '.join(missing)}",
        )


def _digest(parts: Iterable[bytes]) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()[:16]


def _cached(cache: Path, name: str, make: Callable[[Path], None]) -> Path:
    """The directory `name` of the cache, filled by `make` if it is not there yet."""
    home = (cache / name).absolute()  # compilers run in other directories
    if home.exists():
        return home
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="making-") as scratch:
            out = Path(scratch) / "out"
            out.mkdir()
            make(out)
            try:
                out.rename(home)
            except OSError:
                if not home.exists():  # it does when somebody else built the same and was faster
                    raise
    except OSError as error:
        raise EmulatorError(
            f"{cache} cannot keep what is built: {error.strerror}",
            hint="set XDG_CACHE_HOME to a place you may write to",
        ) from error
    return home


def _run(command: list[str], directory: Path, failure: str) -> None:
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        raise EmulatorError(f"{failure}:\n{done.stderr.strip()}")
