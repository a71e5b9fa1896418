"""A number is never given twice in a run, whoever brings the readings."""

from serial2iot.intake import Intake
from serial2iot.reading import Reading, Stamp

STAMP = Stamp(0, 0, "boot", True)


def read(*seqs: int) -> list[Reading]:
    """As a reader numbers what it reads."""
    return [Reading(7, seq, STAMP, b"{}") for seq in seqs]


def test_numbers_go_on_through_readings_by_hand_and_new_readers() -> None:
    taken: list[Reading] = []
    intake = Intake("arduino", 7, lambda name, *readings: taken.extend(readings))
    intake.begin()
    intake.take(read(1, 2))
    assert intake.add(b'{"by":"hand"}', STAMP).seq == 3
    intake.take(read(3))
    intake.begin()  # a reload made another reader
    intake.take(read(1, 2))
    intake.take([])
    assert [reading.seq for reading in taken] == [1, 2, 3, 4, 5, 6]
    assert intake.last == taken[-1]
    assert taken[2].body == b'{"by":"hand"}'
