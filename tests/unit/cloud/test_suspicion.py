"""Who is to blame for a hang-up: nobody, until it is proved."""

from serial2iot.cloud.suspicion import CALM_S, PROBE_EVERY_S, Standing, Suspicion


def cut_alone(suspicion: Suspicion, id: int, times: int = 1, now: float = 0.0) -> None:
    for _ in range(times):
        suspicion.cut([id], now, alone=True)


def test_a_hang_up_makes_the_topic_travel_alone_and_one_ack_clears_it() -> None:
    suspicion = Suspicion()
    suspicion.cut([1, 2, 3], 0.0, alone=False)
    assert suspicion.standing is Standing.SUSPECTED
    assert suspicion.alone
    suspicion.acknowledged([1])
    assert suspicion.standing is Standing.CLEAR
    assert not suspicion.set_aside


def test_a_hundred_hang_ups_with_many_in_flight_set_nothing_aside() -> None:
    suspicion = Suspicion()
    for _ in range(100):
        suspicion.cut([1, 2], 0.0, alone=False)
    assert suspicion.standing is Standing.SUSPECTED
    assert not suspicion.set_aside


def test_poison_three_cuts_alone_and_another_reading_acknowledged() -> None:
    suspicion = Suspicion()
    suspicion.cut([1, 2], 0.0, alone=False)
    cut_alone(suspicion, 1, times=2)
    assert suspicion.standing is Standing.SUSPECTED
    cut_alone(suspicion, 1)
    assert suspicion.standing is Standing.DOUBTED
    assert suspicion.culprit == 1
    suspicion.acknowledged([2])
    assert suspicion.set_aside == [1]
    assert suspicion.alone, "the next reading has to prove itself too"


def test_a_second_reading_cut_as_well_refuses_the_topic_and_sets_nothing_aside() -> None:
    suspicion = Suspicion()
    cut_alone(suspicion, 1, times=3)
    cut_alone(suspicion, 2, now=100.0)
    assert suspicion.standing is Standing.REFUSED
    assert not suspicion.set_aside
    assert suspicion.wait(100.0) == PROBE_EVERY_S
    assert suspicion.wait(100.0 + PROBE_EVERY_S) == 0.0


def test_a_probe_that_is_cut_waits_again_and_one_that_is_acknowledged_clears() -> None:
    suspicion = Suspicion()
    suspicion.refused(0.0)
    cut_alone(suspicion, 1, now=60.0)
    assert suspicion.wait(60.0) == PROBE_EVERY_S
    suspicion.acknowledged([1])
    assert suspicion.standing is Standing.CLEAR
    assert suspicion.wait(60.0) == 0.0


def test_the_doubted_reading_itself_acknowledged_clears_the_topic() -> None:
    suspicion = Suspicion()
    cut_alone(suspicion, 1, times=4)
    assert suspicion.standing is Standing.DOUBTED
    suspicion.acknowledged([1])
    assert suspicion.standing is Standing.CLEAR
    assert not suspicion.set_aside


def test_cuts_of_different_readings_do_not_add_up() -> None:
    suspicion = Suspicion()
    for id in (1, 2, 1, 2, 1, 2):
        cut_alone(suspicion, id)
    assert suspicion.standing is Standing.SUSPECTED


def test_the_server_blames_a_message_that_was_alone() -> None:
    suspicion = Suspicion()
    assert suspicion.faulted([1], 0.0, alone=True)
    assert not Suspicion().faulted([1, 2], 0.0, alone=True), "which of two?"
    assert not Suspicion().faulted([1], 0.0, alone=False), "or one of the others?"


def test_a_probe_that_is_overdue_leaves_a_new_connection_to_the_others_first() -> None:
    suspicion = Suspicion()
    suspicion.refused(0.0)
    back_after_s = 10 * PROBE_EVERY_S
    suspicion.link_up(back_after_s)
    assert suspicion.wait(back_after_s) == CALM_S
    assert suspicion.wait(back_after_s + CALM_S) == 0.0


def test_a_probe_waits_no_less_because_the_link_is_new() -> None:
    suspicion = Suspicion()
    suspicion.refused(0.0)
    suspicion.link_up(1.0)
    assert suspicion.wait(0.0) == PROBE_EVERY_S
