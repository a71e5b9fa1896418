"""The table of presence: what may happen, what is said, and that it never lies for long."""

import heapq
import random
from dataclasses import dataclass, field

import pytest

from serial2iot.cloud.presence_table import (
    FOLLOW_S,
    HELPLESS,
    SETTLE_S,
    TABLE,
    Action,
    Event,
    Machine,
    State,
)


def machine_in(state: State) -> Machine:
    machine = Machine()
    machine.state = state
    return machine


def test_every_state_has_a_way_to_gone() -> None:
    ways = {state: {to for (at, _), to in TABLE.items() if at is state} for state in State}
    for start in State:
        reached, frontier = {start}, {start}
        while frontier:
            frontier = {to for state in frontier for to in ways[state]} - reached
            reached |= frontier
        assert State.GONE in reached


@pytest.mark.parametrize(("state", "event"), [(s, e) for s in State for e in Event if (s, e) not in TABLE])
def test_an_illegal_move_raises_and_changes_nothing(state: State, event: Event) -> None:
    machine = machine_in(state)
    with pytest.raises(ValueError, match=event.name):
        machine.feed(event, 0.0)
    assert machine.state is state


def test_birth_then_the_shadow_is_asked_and_confirms() -> None:
    machine = Machine()
    assert machine.feed(Event.LINK_UP, 0.0) == [Action.SAY_TRUE]
    assert machine.feed(Event.TAKEN, 0.1) == [Action.ASK]
    assert machine.due == 0.1 + FOLLOW_S
    assert machine.feed(Event.SHADOW_TRUE, 0.2, 7) == [Action.TELL_CONFIRMED]


def test_an_old_will_that_lands_last_is_corrected() -> None:
    machine = machine_in(State.CONFIRMED)
    assert machine.feed(Event.SHADOW_OTHER, 100.0, 8) == []
    assert machine.due == 100.0 + SETTLE_S
    assert machine.feed(Event.DUE, machine.due) == [Action.SAY_TRUE, Action.ASK]
    assert machine.feed(Event.SHADOW_TRUE, 103.0, 9) == [Action.TELL_CORRECTED]


def test_a_birth_still_on_its_way_through_the_rule_needs_no_correction() -> None:
    machine = machine_in(State.LISTENING)
    machine.feed(Event.SHADOW_OTHER, 0.0, 3)
    assert machine.feed(Event.SHADOW_TRUE, 1.0, 4) == [Action.TELL_CONFIRMED]


def test_an_older_word_counts_for_nothing() -> None:
    machine = machine_in(State.CONFIRMED)
    machine.feed(Event.SHADOW_TRUE, 0.0, 10)
    assert machine.feed(Event.SHADOW_OTHER, 1.0, 9) == []
    assert machine.state is State.CONFIRMED


def test_a_broken_rule_is_told_once_and_corrections_come_ever_later() -> None:
    machine = machine_in(State.LISTENING)
    machine.feed(Event.SHADOW_OTHER, 0.0, 1)
    said, pauses = [], []
    for _ in range(12):
        assert machine.due is not None
        now = machine.due
        said += machine.feed(Event.DUE, now)
        pauses.append(machine.due - now)
    assert said.count(Action.TELL_BROKEN) == 1
    assert said[: 2 * HELPLESS].count(Action.SAY_TRUE) == HELPLESS
    assert pauses == sorted(pauses)
    assert pauses[-1] == 300.0


def test_a_silent_shadow_is_told_once_and_asked_again_ever_later() -> None:
    machine = machine_in(State.LISTENING)
    assert machine.feed(Event.DUE, 10.0) == [Action.TELL_SILENT]
    assert machine.feed(Event.DUE, 70.0) == [Action.ASK]
    assert machine.feed(Event.SHADOW_TRUE, 71.0, 1) == [Action.TELL_CONFIRMED]


def test_a_birth_that_is_not_taken_is_said_again() -> None:
    machine = Machine()
    machine.feed(Event.LINK_UP, 0.0)
    machine.feed(Event.NOT_TAKEN, 1.0)
    assert machine.due == 2.0
    assert machine.feed(Event.DUE, 2.0) == [Action.SAY_TRUE]


# The flaps: a device whose link comes and goes, wills that come late, a rule that runs late. -----------


@dataclass
class Flaps:
    """One device, its will and its rule, under one virtual clock.

    Each message takes its own time through broker and rule, 0 to 60 s, so they overtake each other.
    """

    seed: int
    corrects: bool = True
    machine: Machine = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.machine = Machine(corrects=self.corrects)
        self.now, self.count = 0.0, 0
        self.events: list[tuple[float, int, str, object]] = []
        self.shadow, self.version = False, 0
        self.link = 0  # the number of the connection, 0 while there is none

    def at(self, delay: float, what: str, value: object = None) -> None:
        self.count += 1
        heapq.heappush(self.events, (self.now + delay, self.count, what, value))

    def feed(self, event: Event, version: int | None = None) -> None:
        for action in self.machine.feed(event, self.now, version):
            if action is Action.SAY_TRUE:
                self.at(self.chance.uniform(0, 60), "shadow", True)
                if self.machine.state is State.ANNOUNCING:
                    self.at(0.05, "taken", self.link)
            elif action is Action.ASK:
                self.at(0.1, "answer", self.link)
        if self.machine.due is not None:
            self.at(max(0.0, self.machine.due - self.now), "due", self.machine.due)

    def connect(self, number: int) -> None:
        self.link = number
        self.feed(Event.LINK_UP)

    def cut(self) -> None:
        """The link goes; the will is on its way."""
        self.link = 0
        self.at(self.chance.uniform(0, 60), "shadow", False)
        self.feed(Event.LINK_DOWN)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.events and self.events[0][0] <= end:
            self.now, _, what, value = heapq.heappop(self.events)
            if what == "shadow":
                self.shadow, self.version = bool(value), self.version + 1
                if self.link and self.machine.state is not State.ANNOUNCING:
                    self._word()
            elif what == "taken" and value == self.link and self.machine.state is State.ANNOUNCING:
                self.feed(Event.TAKEN)
            elif what == "answer" and value == self.link:
                self._word()
            elif what == "due" and value == self.machine.due:
                self.feed(Event.DUE)
        self.now = end

    def _word(self) -> None:
        self.feed(Event.SHADOW_TRUE if self.shadow else Event.SHADOW_OTHER, self.version)


def stuck_after(flaps: int, *, corrects: bool) -> tuple[int, int]:
    """How often the shadow stays false for a live device, and how often anything is stuck for a dead one."""
    false_alive = true_dead = 0
    for seed in range(flaps // 10):
        world = Flaps(seed, corrects)
        for number in range(1, 11):
            world.connect(number)
            world.run(world.chance.choice([0.5, 5.0, 30.0, 90.0]))
            if number < 10:
                world.cut()
                world.run(world.chance.choice([1.0, 3.0, 20.0, 70.0]))
        world.run(400.0)  # everything has landed, and corrections had their time
        false_alive += not world.shadow
        confirmed = world.machine.state is State.CONFIRMED
        world.cut()
        world.run(120.0)
        true_dead += world.shadow and confirmed
    return false_alive, true_dead


def test_flaps_leave_nothing_stuck(capsys: pytest.CaptureFixture[str]) -> None:
    false_alive, true_dead = stuck_after(10_000, corrects=True)
    without, _ = stuck_after(10_000, corrects=False)
    with capsys.disabled():
        print(
            f"\n10000 flaps: stuck false {false_alive}, stuck true {true_dead}; uncorrected: {without} stuck"
        )
    assert (false_alive, true_dead) == (0, 0)
    assert without > 0, "the test must be able to fail"
