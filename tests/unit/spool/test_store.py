"""The database in whatever state it is found."""

import sqlite3
from pathlib import Path

import pytest

from serial2iot.reading import Reading, Stamp
from serial2iot.spool import set_aside
from serial2iot.spool.disk_error import DiskError
from serial2iot.spool.store import Change, Place, Store

PAGE = 4096
WALL = 1_763_856_000.0  # 2025-11-23 00:00 UTC
A, B = Place("a", 1 << 48), Place("b", 2 << 48)
END = 1 << 62


def readings(first: int, count: int) -> list[Reading]:
    stamp = Stamp(1_763_856_000_000, 1_000, "boot", True)
    return [Reading(1, seq, stamp, b"%040d" % seq) for seq in range(first, first + count)]


def keep(store: Store, place: Place, first: int, count: int) -> None:
    store.commit([Change(place, [(place.base + first, readings(first, count))], [])])


def seqs(store: Store, place: Place) -> list[int]:
    found: list[int] = []
    first = place.base
    while True:
        loaded = store.load(place, first, place.base + (1 << 47), 1000, 1 << 20)
        found += [reading.seq for _, reading in loaded.pairs]
        if loaded.next == place.base + (1 << 47):
            return found
        first = loaded.next


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


def opened(path: Path) -> Store:
    store = Store(path, lambda: WALL)
    store.open()
    return store


def filled(path: Path, count: int = 2000) -> None:
    """A closed database with two lanes and the run 7."""
    store = opened(path)
    keep(store, A, 1, count)
    keep(store, B, 1, 10)
    store.keep_run(7)
    store.close()


def test_keeps_what_it_is_given_and_forgets_what_is_gone(path: Path) -> None:
    store = opened(path)
    keep(store, A, 1, 100)
    gone = [(A.base + 1, A.base + 50), (A.base + 90, A.base + 90)]
    store.commit([Change(A, [(A.base + 101, readings(101, 1))], gone)])
    store.close()
    store = Store(path, lambda: WALL)
    found = store.open()
    assert found.lanes["a"] == (51, 102, 50, 50 * 104)
    assert seqs(store, A) == [*range(51, 90), *range(91, 102)]
    store.close()


def test_a_commit_that_fails_leaves_nothing_behind(path: Path) -> None:
    store = opened(path)
    keep(store, A, 1, 1)
    spoilt = readings(2, 1)[0]._replace(body=None)
    with pytest.raises(TypeError):
        store.commit([Change(B, [(B.base + 1, [*readings(1, 1), spoilt])], [])])
    assert store.extent(B, B.base, END).rows == 0
    keep(store, B, 1, 1)
    assert seqs(store, B) == [1]
    store.close()


def test_what_is_on_the_pages_after_a_damaged_one_is_salvaged(path: Path) -> None:
    filled(path)
    with path.open("r+b") as file:
        file.seek(20 * PAGE)
        file.write(bytes(PAGE))
    store = Store(path, lambda: WALL)
    found = store.open()
    assert found.aside is not None
    assert found.aside.name == "spool.db.damaged-20251123T000000"
    assert found.run == 7
    assert found.kept == (found.aside.name,)
    left = seqs(store, A)
    assert 1900 <= len(left) < 2000
    assert left[0] == 1
    assert left[-1] == 2000
    assert found.salvaged is not None
    assert found.salvaged.readings == len(left) + 10
    assert seqs(store, B) == list(range(1, 11))
    store.close()


def test_a_row_that_was_changed_is_told_and_the_others_are_not(path: Path) -> None:
    filled(path)
    data = path.read_bytes()
    at = data.index(b"%040d" % 1234)
    path.write_bytes(data[:at] + b"9" + data[at + 1 :])
    store = opened(path)
    loaded = store.load(A, A.base + 1231, A.base + 1238, 100, 1 << 20)
    assert [reading.seq for _, reading in loaded.pairs] == [1231, 1232, 1233, 1235, 1236, 1237]
    assert loaded.damaged == [A.base + 1234]
    store.close()


@pytest.mark.parametrize("content", [b"", b"x", b"SQLite format 3\0", bytes(3 * PAGE), b"\xff" * 3 * PAGE])
def test_a_file_that_is_no_database_is_no_reason_not_to_start(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    store = Store(path, lambda: WALL)
    found = store.open()
    assert found.lanes == {}
    assert (found.run is None) == bool(found.aside)
    keep(store, A, 1, 5)
    assert seqs(store, A) == [1, 2, 3, 4, 5]
    store.close()


def test_tables_of_another_kind_are_set_aside(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE lane (number, name)")
    other.close()
    store = Store(path, lambda: WALL)
    found = store.open()
    assert found.aside is not None
    store.close()


def test_a_database_of_a_later_release_is_set_aside_as_it_is(path: Path) -> None:
    filled(path)
    with sqlite3.connect(path) as later:
        later.execute("PRAGMA user_version = 2")
        later.execute("ALTER TABLE run ADD COLUMN colour TEXT")
    later.close()
    store = Store(path, lambda: WALL)
    found = store.open()
    assert found.aside is not None
    assert found.aside.name == "spool.db.newer-20251123T000000"
    assert found.lanes == {}
    assert found.run is None
    store.close()
    with sqlite3.connect(found.aside) as later:
        assert later.execute("SELECT count(*) FROM lane_1").fetchall() == [(2000,)]
        assert later.execute("PRAGMA user_version").fetchall() == [(2,)]
    later.close()


def test_three_damaged_files_are_kept_and_all_newer_ones(path: Path) -> None:
    for day in range(5):
        path.write_bytes(b"no database")
        store = Store(path, lambda: WALL + 86_400 * day)  # noqa: B023  # used within the loop only
        store.open()
        store.close()
    for day in range(2):
        path.write_bytes(b"of tomorrow")
        set_aside.set_aside(path, "newer", WALL + day)
    names = set_aside.kept(path)
    assert [name.split(".")[-1] for name in names] == [
        "newer-20251123T000000",
        "newer-20251123T000001",
        "damaged-20251125T000000",
        "damaged-20251126T000000",
        "damaged-20251127T000000",
    ]


def test_two_in_one_second_do_not_overwrite_each_other(path: Path) -> None:
    for content in (b"1", b"2"):
        path.write_bytes(content)
        path.with_name("spool.db-wal").write_bytes(content)
        aside = set_aside.set_aside(path, "damaged", WALL)
        assert aside.read_bytes() == aside.with_name(aside.name + "-wal").read_bytes() == content
    assert len(set_aside.kept(path)) == 2


def test_a_replacement_that_is_not_whole_is_removed(path: Path) -> None:
    filled(path)
    set_aside.replacement(path).write_bytes(path.read_bytes()[: 3 * PAGE])
    store = opened(path)
    assert len(seqs(store, A)) == 2000
    assert not set_aside.replacement(path).exists()
    store.close()


@pytest.mark.parametrize("moved", [False, True])
def test_a_whole_replacement_takes_its_place_after_a_power_cut(path: Path, moved: bool) -> None:
    filled(set_aside.replacement(path))
    path.with_name("spool.db-wal").write_bytes(b"the log of the damaged one")
    if not moved:
        path.write_bytes(b"the damaged one")
    store = opened(path)
    assert len(seqs(store, A)) == 2000
    store.close()


def test_another_process_is_a_state_and_no_damage(path: Path) -> None:
    filled(path)
    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")
    store = Store(path, lambda: WALL)
    with pytest.raises(DiskError) as caught:
        store.open()
    assert caught.value.kind == "busy"
    assert "another process" in caught.value.hint
    other.close()
    assert store.open().aside is None
    store.close()


def test_a_directory_that_is_not_there_is_made(tmp_path: Path) -> None:
    store = opened(tmp_path / "a" / "b" / "spool.db")
    store.close()
    assert (tmp_path / "a" / "b" / "spool.db").exists()


def test_ids_that_meet_are_moved_below(path: Path) -> None:
    store = opened(path)
    keep(store, A, 5, 2)
    keep(store, A, 1000, 3)
    store.move_below(A, A.base + 900)
    assert store.extent(A, A.base, END)[:3] == (A.base + 895, A.base + 900, 5)
    assert seqs(store, A) == [5, 6, 1000, 1001, 1002]
    keep(store, A, 900, 1)
    store.close()
    store = opened(path)
    assert len(seqs(store, A)) == 6
    store.close()


def test_contexts_of_old_runs_do_not_add_up(path: Path) -> None:
    store = opened(path)
    keep(store, A, 1, 3)
    store.keep_run(1)
    assert seqs(store, A) == [1, 2, 3], "what is needed stays"
    store.commit([Change(A, [], [(A.base, A.base + 10)])])
    store.keep_run(2)
    store.close()
    with sqlite3.connect(path) as plain:
        assert plain.execute("SELECT count(*) FROM context").fetchall() == [(0,)]
    plain.close()
