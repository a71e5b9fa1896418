"""A run's number never repeats, whatever was lost."""

from pathlib import Path

import pytest

from serial2iot.spool.run_number import RunNumber, next_run

NOW = 1_763_856_000.5


def test_counts_up_from_one(tmp_path: Path) -> None:
    assert [next_run(tmp_path, 0, NOW).number for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("file", "database"), [("7", 3), ("3", 7), ("7", None), (None, 7), ("x", 7), ("", 7)]
)
def test_the_greater_wins(tmp_path: Path, file: str | None, database: int | None) -> None:
    if file is not None:
        (tmp_path / "run").write_text(file)
    assert next_run(tmp_path, database, NOW) == RunNumber(8, "file")
    assert (tmp_path / "run").read_text().strip() == "8"


@pytest.mark.parametrize(("file", "database"), [(None, None), ("\x00\x00", None), ("\x00\x00", 0), ("-1", 0)])
def test_what_was_lost_makes_it_the_clock(tmp_path: Path, file: str | None, database: int | None) -> None:
    if file is not None:
        (tmp_path / "run").write_text(file)
    assert next_run(tmp_path, database, NOW) == RunNumber(1_763_856_000, "clock")
    assert next_run(tmp_path, None, NOW) == RunNumber(1_763_856_001, "file")


def test_a_file_that_cannot_be_written_leaves_the_database(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    assert next_run(absent, 4, NOW) == RunNumber(5, "database")


def test_nowhere_to_keep_it_makes_it_the_clock(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("41")
    (tmp_path / "run.new").mkdir()  # in the way of every write
    assert next_run(tmp_path, None, NOW) == RunNumber(1_763_856_000, "clock")
    assert next_run(tmp_path, None, 12.0) == RunNumber(42, "clock"), "never less than what is known plus one"


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    next_run(tmp_path, 0, NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
