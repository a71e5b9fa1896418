"""Every key is found on the line where it stands, whatever stands around it; a broken file says where it broke."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial2iot.config_file import Place, key_lines, read
from serial2iot.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "place", "line"),
    [
        ("[mqtt]\n\nport = 1", ("mqtt", "port"), 3),
        ("[mqtt]\n\nport = 1", ("mqtt",), 1),
        ("a.b.c = 1\na.d = 2", ("a", "d"), 2),
        ("a . 'b' . \"c\" = 1", ("a", "b", "c"), 1),
        ("[[serial]]\nname = 'a'\n[[serial]]\nname = 'b'", ("serial", 1, "name"), 4),
        ("[[serial]]\n[[serial]]\n[serial.match]\nvid = 1", ("serial", 1, "match", "vid"), 4),
        ("[[a]]\n[[a.b]]\n[[a.b]]\nx = 1\n[[a]]\n[[a.b]]\nx = 2", ("a", 1, "b", 0, "x"), 7),
        ("[a.b]\nx = 1\n[a]\ny = 2", ("a",), 3),
        ("t = { x = 1, y = { z = 2 } }", ("t", "y", "z"), 1),
        ("l = [\n  1, # one ]\n  { k = 2 },\n]\nn = 3", ("l", 1, "k"), 3),
        ("l = [[1], [2,\n3]]", ("l", 1, 1), 2),
        ('s = """\nport = 1\n[mqtt]\n"""\nport = 2', ("port",), 5),
        ("s = '''\nport = 1'''\nport = 2", ("port",), 3),
        ('s = """a"" b\\""" c"""""\nport = 2', ("port",), 2),
        ('s = ""\nport = 2 # s = 3', ("port",), 2),
        ('s = "\\"#"\nport = 2', ("port",), 2),
        ('"a.b" = 1\n"\\u0061" = 2', ("a",), 2),
        ('"a\\"]b" = 1\nx = 2', ("x",), 2),
        ("d = 2020-01-01 01:02:03\nx = [inf, nan]\ny = 1", ("y",), 3),
    ],
)
def test_a_key_is_found_on_its_line(text: str, place: Place, line: int) -> None:
    tomllib.loads(text)
    assert key_lines(text)[place] == line


@dataclass
class Document:
    """Text, and the line on which each key was put: written by a generator that knows, because it counts."""

    lines: list[str] = field(default_factory=list)
    places: dict[Place, int] = field(default_factory=dict)
    names: int = 0

    def new_name(self) -> str:
        self.names += 1
        return f"k{self.names}"

    def add(self, text: str) -> None:
        self.lines += text.split("\n")


DECOYS = ["", "#", "[k1]", "k1 = 2", "[[k2]]", "a # b", "{ k1 = 1 }", "] }", ", k1 = 3", "''"]


def scalar(draw: st.DrawFn) -> str:
    decoy = draw(st.sampled_from(DECOYS))
    return draw(
        st.sampled_from(
            [
                "1",
                "true",
                "1979-05-27 07:32:00",
                "-inf",
                f'"{decoy} \\" {decoy}"',
                '"' + decoy.replace("'", "") + '"',
                f'"""{decoy}\n{decoy}"""',
                f'"""{decoy} \\""" ""x"""""',
                "'''" + decoy.replace("'", "") + "\n" + decoy.replace("'", "") + "'''",
            ]
        )
    )


def value(draw: st.DrawFn, document: Document, place: Place, line: int, depth: int) -> str:
    """A value for `place`, beginning on `line`; what has keys of its own is noted."""
    kind = draw(st.sampled_from(["scalar", "scalar", "inline", "array"])) if depth else "scalar"
    if kind == "scalar":
        return scalar(draw)
    text = "{ " if kind == "inline" else "["
    for index in range(draw(st.integers(0, 3))):
        text += ", " if index else ""
        if kind == "array":
            text += draw(st.sampled_from(["", " # ] x = 1\n", "\n\n"]))
            inner: Place = (*place, index)
            document.places[inner] = line + text.count("\n")
        else:
            name = document.new_name()
            inner = (*place, name)
            document.places[inner] = line + text.count("\n")
            text += draw(st.sampled_from([f"{name} = ", f'"{name}"=', f"'{name}' = "]))
        text += value(draw, document, inner, line + text.count("\n"), depth - 1)
    return text + (" }" if kind == "inline" else "]")


@st.composite
def documents(draw: st.DrawFn) -> Document:
    document = Document()
    table: Place = ()
    arrays: dict[str, int] = {}
    for _ in range(draw(st.integers(0, 12))):
        line = len(document.lines) + 1
        step = draw(st.sampled_from(["pair", "pair", "pair", "dotted", "table", "array table", "comment"]))
        if step == "comment":
            document.add(draw(st.sampled_from(["", "# [k1]", "  \t", "# k1 = '''"])))
        elif step == "table":
            name = document.new_name()
            table = (name,)
            document.places[table] = line
            document.add(draw(st.sampled_from([f"[{name}]", f"[ '{name}' ] # ]", f'["{name}"]'])))
        elif step == "array table":
            name = draw(st.sampled_from(["port", "rule"]))
            table = (name, arrays.get(name, 0))
            arrays[name] = arrays.get(name, 0) + 1
            document.places[table] = line
            document.places.setdefault((name,), line)
            document.add(f"[[{name}]]")
        else:
            place, text = table, ""
            for part in range(2 if step == "dotted" else 1):
                name = document.new_name()
                place = (*place, name)
                document.places[place] = line
                text += (" . " if part else "") + draw(st.sampled_from([name, f'"{name}"', f"'{name}'"]))
            document.add(f"{text} = {value(draw, document, place, line, 2)}")
    return document


def at(document: Any, place: Place) -> Any:
    for step in place:
        document = document[step]
    return document


@given(documents())
def test_every_key_of_any_document_is_found_on_its_line(document: Document) -> None:
    text = "\n".join(document.lines)
    parsed = tomllib.loads(text)
    for place in document.places:
        at(parsed, place)  # the generator and tomllib mean the same document
    assert key_lines(text) == document.places


def test_where_a_key_is_missing_the_nearest_thing_around_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("\n[mqtt]\nport = 1\n")
    file = read(path)
    assert file.where(("mqtt", "port")) == f"{path}:3"
    assert file.where(("mqtt", "endpoint")) == f"{path}:2"
    assert file.where(("thing", "name")) == str(path)


def test_a_file_from_windows_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf[mqtt]\r\n# \xc3\xa9\r\nport = 1\r\n")
    file = read(path)
    assert file.document == {"mqtt": {"port": 1}}
    assert file.line_of(("mqtt", "port")) == 3


@pytest.mark.parametrize(
    ("text", "line", "what", "hint"),
    [
        ("a = 1\nname = RPI", 2, "Invalid value", "quotes"),
        ("a = 1\na = 2", 2, "Cannot overwrite a value", "given twice"),
        ("[a]\n[b]\n[a]", 3, "Cannot declare", "given twice"),
        ("c = 1\na = 'x\nb = 2", 2, "Expected", "not closed"),
        ('c = 1\n\na = """x\nb = 2\n', 3, "Unterminated", "not closed"),
        ('a = "x\nb = 2', 1, "Illegal character", "not closed"),
        ("a = 1\n\nport 8883\n", 3, "Expected '='", ""),
        ("a = [1,\n2", 1, "Unclosed array", "not closed"),
        ('a = "C:\\data"', 1, "Unescaped", "single quotes"),
    ],
)
def test_broken_toml_is_told_with_its_line(
    tmp_path: Path, text: str, line: int, what: str, hint: str
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=what) as caught:
        read(path)
    assert caught.value.where == f"{path}:{line}"
    assert hint in caught.value.hint


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file") as caught:
        read(tmp_path / "config.toml")
    assert "--config" in caught.value.hint
    with pytest.raises(ConfigError, match="directory"):
        read(tmp_path)
    (tmp_path / "latin").write_bytes(b"a = 1\nb = '\xe9'")
    with pytest.raises(ConfigError, match="not UTF-8") as caught:
        read(tmp_path / "latin")
    assert caught.value.where.endswith("latin:2")
    (tmp_path / "deep").write_text("a = " + "[" * 100_000)
    with pytest.raises(ConfigError, match=r"nested too deeply|not valid TOML"):
        read(tmp_path / "deep")
