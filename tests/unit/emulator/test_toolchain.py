"""Sketches become C++ as the Arduino IDE does it; what is missing is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from serial2iot.emulator import firmware, toolchain
from serial2iot.emulator.toolchain import build_board, build_sketch, with_prototypes
from serial2iot.errors import EmulatorError

NAME = Path("x.ino")


def prototypes(source: str) -> list[str]:
    """What was added to a sketch besides #include and #line."""
    own = set(source.splitlines())
    return [
        x for x in with_prototypes(source, NAME).splitlines() if x and x not in own and not x.startswith("#")
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("void setup() {\n}", ["void setup();"]),
        ("int add(int a,\n  int b)\n{ return a; }", ["int add(int a, int b);"]),
        ("const char *name(byte *p) { }", ["const char *name(byte *p);"]),
        ("static inline unsigned long f(void) { }", ["static inline unsigned long f(void);"]),
        ("// void no() {\n/* void no() {\n} */", []),
        ("const char *s = \"void no() {\";\nchar c = '{';\nvoid yes() {}", ["void yes();"]),
        ("#define NO void no() {\\\n  }\nvoid yes() {}", ["void yes();"]),
        ("struct S { int method() { return 1; }\n int other() { return 2; } };", []),
        ("void f() {\n  if (x) {\n }\n  while (y) { }\n}", ["void f();"]),
        ("ISR(TIMER1_COMPA_vect) { }", []),
        ("void S::method() { }", []),
        ("void with_default(int a = 1) { }", []),
        ("template <typename T> T twice(T t) { return t; }", []),
        ("int declared(int);\nint table[] = {1, 2};\nint declared(int a) { }", ["int declared(int a);"]),
    ],
)
def test_functions_are_declared_before_their_use(source: str, expected: list[str]) -> None:
    assert prototypes(source) == expected


def test_lines_keep_their_numbers() -> None:
    made = with_prototypes("int a;\n\nvoid setup() {}\nvoid loop() {}\n", NAME).splitlines()
    assert made[0] == "#include <Arduino.h>"
    assert made[1] == '#line 1 "x.ino"'
    assert made[made.index("void setup() {}") - 1] == '#line 3 "x.ino"'
    assert made.index("void setup();") < made.index("void setup() {}")


def test_missing_packages_are_named_with_the_command_that_brings_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        toolchain, "_PACKAGES", {"gcc": "sh", "gcc-avr": "/no/avr", "libsimavr-dev": "no-simavr"}
    )
    for build in (lambda: build_sketch(NAME, tmp_path), lambda: build_board(tmp_path)):
        with pytest.raises(EmulatorError, match="gcc-avr, libsimavr-dev") as caught:
            build()
        assert caught.value.hint.endswith("install --no-install-recommends gcc-avr libsimavr-dev")


def test_a_sketch_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "_PACKAGES", {})
    with pytest.raises(EmulatorError, match=r"x\.ino cannot be read"):
        build_sketch(tmp_path / "x.ino", tmp_path)


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmulatorError, match="cannot keep") as caught:
        toolchain._cached(tmp_path / "file" / "below", "x", lambda out: None)
    assert "XDG_CACHE_HOME" in caught.value.hint


def test_two_builds_at_once_and_one_that_failed(tmp_path: Path) -> None:
    def slower(out: Path) -> None:
        toolchain._cached(tmp_path, "x", lambda other: (other / "made").touch())
        (out / "made").touch()

    assert (toolchain._cached(tmp_path, "x", slower) / "made").exists()

    def fails(out: Path) -> None:
        (out / "half").touch()
        raise EmulatorError("no")

    with pytest.raises(EmulatorError, match="no"):
        toolchain._cached(tmp_path, "y", fails)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_an_installed_package_asks_for_the_path_of_a_sketch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert firmware.example_sketch().name == "serial2iot.ino"
    monkeypatch.setattr(firmware, "__file__", str(tmp_path / "a/b/c/d/firmware.py"))
    with pytest.raises(EmulatorError, match="installed") as caught:
        firmware.example_sketch()
    assert "path of a sketch" in caught.value.hint
