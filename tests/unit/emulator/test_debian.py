"""Finding mosquitto, and unpacking it from packages; apt is played, dpkg is real."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from serial2iot.emulator import debian
from serial2iot.errors import EmulatorError


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A system without mosquitto; the folder that is returned comes first in its PATH."""
    commands = tmp_path / "bin"
    commands.mkdir()
    monkeypatch.setattr(debian, "SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", f"{commands}:/usr/bin:/bin")
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    return commands


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def package(folder: Path, name: str, contents: dict[str, str]) -> None:
    for path, text in contents.items():
        script(folder / name / path, text)
    control = folder / name / "DEBIAN/control"
    control.parent.mkdir(parents=True)
    control.write_text(f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n")
    subprocess.run(
        ["dpkg-deb", "--build", folder / name, folder / f"{name}.deb"], check=True, capture_output=True
    )


@pytest.fixture
def archive(bare: Path, tmp_path: Path) -> None:
    """An archive: mosquitto needs liba and libc6; liba needs libb; only libc6 is installed."""
    package(tmp_path, "mosquitto", {"usr/sbin/mosquitto": "echo $LD_LIBRARY_PATH"})
    package(tmp_path, "liba1", {"usr/lib/arch/liba.so.1": ""})
    package(tmp_path, "libb2", {"usr/lib/libb.so.2.0": ""})
    script(
        bare / "apt-cache",
        'case "$3" in mosquitto) echo "  Depends: liba1\n  Depends: libc6\n  Depends: adduser";; '
        'liba1) echo " |Depends: libb2\n  Depends: libc6";; esac',
    )
    script(bare / "dpkg-query", 'printf "libc6 installed\nliba1 not-installed\n"; exit 1')
    script(bare / "apt-get", f'shift; for name; do cp {tmp_path}/"$name".deb . || exit 1; done')


def test_what_is_on_the_path_is_used(bare: Path, tmp_path: Path) -> None:
    script(bare / "mosquitto", "")
    assert debian.find_mosquitto(tmp_path / "cache") == debian.Program(bare / "mosquitto")


def test_what_only_root_has_on_the_path_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script(tmp_path / "sbin/mosquitto", "")
    monkeypatch.setattr(debian, "SYSTEM_FOLDERS", (str(tmp_path / "sbin"),))
    assert debian.find_mosquitto(tmp_path / "cache").path == tmp_path / "sbin/mosquitto"


@pytest.mark.usefixtures("archive")
def test_packages_are_unpacked_once_with_the_libraries_that_are_missing(bare: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    program = debian.find_mosquitto(cache)
    root = cache / "mosquitto"
    assert program.libraries == (root / "usr/lib", root / "usr/lib/arch")
    said = subprocess.run(program.path, env=program.environment(), capture_output=True, text=True, check=True)
    assert said.stdout.strip() == f"{root}/usr/lib:{root}/usr/lib/arch"
    assert [path.name for path in cache.iterdir()] == ["mosquitto"]
    (bare / "apt-get").unlink()
    assert debian.find_mosquitto(cache) == program


@pytest.mark.usefixtures("archive")
def test_libraries_of_the_user_stay_in_reach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = debian.find_mosquitto(tmp_path / "cache")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/of/the/user")
    assert program.environment()["LD_LIBRARY_PATH"].endswith(":/of/the/user")


@pytest.mark.usefixtures("archive")
def test_a_failure_says_what_apt_said_and_what_to_do(bare: Path, tmp_path: Path) -> None:
    script(bare / "apt-get", "echo E: Unable to locate package >&2; exit 100")
    with pytest.raises(EmulatorError, match="apt-get download failed: E: Unable to locate") as caught:
        debian.find_mosquitto(tmp_path / "cache")
    assert "apt-get update" in caught.value.hint
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_system_without_apt_is_told_to_install(
    bare: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(bare))
    with pytest.raises(EmulatorError, match="no apt-cache") as caught:
        debian.find_mosquitto(tmp_path / "cache")
    assert "install mosquitto" in caught.value.hint


def test_the_cache_is_where_caches_belong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert debian.default_cache() == tmp_path / "serial2iot"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert debian.default_cache() == tmp_path / ".cache/serial2iot"
