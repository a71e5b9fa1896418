"""Presence as a table: what may happen, and what is then to be said. Pure; time is an argument.

The trap: a last will is sent for every disconnect that the client did not announce, takeover by its own
reconnect included, and AWS does not order it against the new birth ("not guaranteed to be dispatched in order
during reconnection", AWS IoT developer guide, MQTT). The old `false` can land last and stay. So presence is
confirmed by the shadow, not assumed. Rules:

1. On each connection the birth (true) is said before anything else, and again, later and later, until it is
   taken. On a clean stop the goodbye (false) is said, and its PUBACK waited for.
2. After the birth the shadow is asked. True confirms. Anything else contradicts: no shadow, no `connected`,
   false.
3. What contradicts is given `SETTLE_S` to pass (the birth may still be on its way through the rule), then
   true is said again: a correction. Corrections come later and later while they do not help.
4. No word from the shadow within `FOLLOW_S`: unconfirmed. The daemon goes on, and asks again now and then.
5. What the shadow says is ordered by its version; an older word than one already heard counts for nothing.
6. While confirmed the shadow is asked now and then, in case a word was lost on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto

from serial2iot.backoff import delays

SETTLE_S = 2.0
FOLLOW_S = 10.0
CHECK_EVERY_S = 600.0
SAY_AGAIN_S = (1.0, 60.0)  # floor and cap: a birth that was not taken
CORRECT_AGAIN_S = (5.0, 300.0)  # corrections that do not help: the rule is broken, and each costs a message
ASK_AGAIN_S = (60.0, 3600.0)  # a shadow that does not answer
HELPLESS = 3  # corrections after which the rule is called broken


class State(Enum):
    """Where presence stands."""

    OFFLINE = auto()  # no link: the will speaks for us
    ANNOUNCING = auto()  # the birth is on its way
    LISTENING = auto()  # the birth was taken; what does the shadow say?
    CONFIRMED = auto()  # the shadow says true
    CONTRADICTED = auto()  # the shadow says something else, although we are here
    UNCONFIRMED = auto()  # the shadow cannot be heard
    LEAVING = auto()  # the goodbye is on its way
    GONE = auto()  # nothing more will be said


class Event(Enum):
    """What can happen."""

    LINK_UP = auto()
    LINK_DOWN = auto()
    TAKEN = auto()  # the broker acknowledged the birth or the goodbye
    NOT_TAKEN = auto()  # it refused, or did not answer
    SHADOW_TRUE = auto()
    SHADOW_OTHER = auto()  # false, nothing, or no shadow at all
    DEAF = auto()  # the shadow's topics cannot be subscribed to
    DUE = auto()  # the time that was waited for has come
    LEAVE = auto()


class Action(Enum):
    """What is to be done."""

    SAY_TRUE = auto()
    SAY_FALSE = auto()
    ASK = auto()  # the shadow for its document
    TELL_CONFIRMED = auto()
    TELL_CORRECTED = auto()
    TELL_SILENT = auto()  # the shadow gives no word
    TELL_BROKEN = auto()  # the shadow answers but does not follow


S, E = State, Event

TABLE: dict[tuple[State, Event], State] = {
    (S.OFFLINE, E.LINK_UP): S.ANNOUNCING,
    (S.OFFLINE, E.LEAVE): S.GONE,
    (S.ANNOUNCING, E.TAKEN): S.LISTENING,
    (S.ANNOUNCING, E.NOT_TAKEN): S.ANNOUNCING,
    (S.ANNOUNCING, E.SHADOW_TRUE): S.ANNOUNCING,
    (S.ANNOUNCING, E.SHADOW_OTHER): S.ANNOUNCING,
    (S.ANNOUNCING, E.DEAF): S.ANNOUNCING,
    (S.ANNOUNCING, E.DUE): S.ANNOUNCING,
    (S.LISTENING, E.SHADOW_TRUE): S.CONFIRMED,
    (S.LISTENING, E.SHADOW_OTHER): S.CONTRADICTED,
    (S.LISTENING, E.DEAF): S.UNCONFIRMED,
    (S.LISTENING, E.DUE): S.UNCONFIRMED,
    (S.CONFIRMED, E.SHADOW_TRUE): S.CONFIRMED,
    (S.CONFIRMED, E.SHADOW_OTHER): S.CONTRADICTED,
    (S.CONFIRMED, E.DEAF): S.UNCONFIRMED,
    (S.CONFIRMED, E.DUE): S.CONFIRMED,
    (S.CONTRADICTED, E.SHADOW_TRUE): S.CONFIRMED,
    (S.CONTRADICTED, E.SHADOW_OTHER): S.CONTRADICTED,
    (S.CONTRADICTED, E.DEAF): S.UNCONFIRMED,
    (S.CONTRADICTED, E.DUE): S.CONTRADICTED,
    (S.UNCONFIRMED, E.SHADOW_TRUE): S.CONFIRMED,
    (S.UNCONFIRMED, E.SHADOW_OTHER): S.CONTRADICTED,
    (S.UNCONFIRMED, E.DEAF): S.UNCONFIRMED,
    (S.UNCONFIRMED, E.DUE): S.UNCONFIRMED,
    (S.LEAVING, E.TAKEN): S.GONE,
    (S.LEAVING, E.NOT_TAKEN): S.GONE,
    (S.LEAVING, E.LINK_DOWN): S.GONE,
    (S.LEAVING, E.SHADOW_TRUE): S.LEAVING,
    (S.LEAVING, E.SHADOW_OTHER): S.LEAVING,
    (S.LEAVING, E.DEAF): S.LEAVING,
}
for _up in (S.ANNOUNCING, S.LISTENING, S.CONFIRMED, S.CONTRADICTED, S.UNCONFIRMED):
    TABLE[_up, E.LINK_DOWN] = S.OFFLINE
    TABLE[_up, E.LEAVE] = S.LEAVING


class Machine:
    """Steps through the table. `due` is when DUE is to be fed, in the caller's monotonic seconds.

    `corrects` False leaves rule 3 out: only to show that the flaps get stuck without it.
    """

    def __init__(self, *, corrects: bool = True) -> None:
        self.state = State.OFFLINE
        self.due: float | None = None
        self._corrects = corrects
        self._version = 0
        self._corrections = 0
        self._pauses: Iterator[float] = iter(())

    def feed(self, event: Event, now: float, version: int | None = None) -> list[Action]:
        """Take one event; what is to be done. Raises ValueError, changing nothing, if it cannot happen."""
        if (self.state, event) not in TABLE:
            raise ValueError(f"presence: {event.name} cannot happen in {self.state.name}")
        if version is not None:
            if version < self._version:
                return []
            self._version = version
        before, self.state = self.state, TABLE[self.state, event]
        entered = self.state is not before
        act = _ACTS.get(self.state)
        return act(self, before, event, now, entered) if act else self._rest()

    # One method per state: what it does when it is entered, or when something happens in it. ---------------

    def _rest(self) -> list[Action]:
        self.due = None
        return []

    def _announcing(self, before: State, event: Event, now: float, entered: bool) -> list[Action]:
        if entered:
            self._version, self._corrections = 0, 0
            self._pauses = delays(*SAY_AGAIN_S)
            return [Action.SAY_TRUE]
        if event is Event.NOT_TAKEN:
            self.due = now + next(self._pauses)
        elif event is Event.DUE:
            self.due = None
            return [Action.SAY_TRUE]
        return []

    def _listening(self, before: State, event: Event, now: float, entered: bool) -> list[Action]:
        self.due = now + FOLLOW_S
        return [Action.ASK]

    def _confirmed(self, before: State, event: Event, now: float, entered: bool) -> list[Action]:
        self.due = now + CHECK_EVERY_S
        if entered:
            corrected, self._corrections = self._corrections, 0
            return [Action.TELL_CORRECTED if corrected else Action.TELL_CONFIRMED]
        return [Action.ASK] if event is Event.DUE else []

    def _contradicted(self, before: State, event: Event, now: float, entered: bool) -> list[Action]:
        if not self._corrects:
            return self._rest()
        if entered:
            self._pauses = delays(*CORRECT_AGAIN_S)
            self.due = now + SETTLE_S
            return []
        if event is not Event.DUE:
            return []
        self.due = now + next(self._pauses)
        self._corrections += 1
        broken = [Action.TELL_BROKEN] if self._corrections == HELPLESS + 1 else []
        return [*broken, Action.SAY_TRUE, Action.ASK]

    def _unconfirmed(self, before: State, event: Event, now: float, entered: bool) -> list[Action]:
        if entered:
            self._pauses = delays(*ASK_AGAIN_S)
        elif event is not Event.DUE:
            return []
        self.due = now + next(self._pauses)
        return [Action.TELL_SILENT] if entered else [Action.ASK]

    def _leaving(self, before: State, event: Event, now: float, entered: bool) -> list[Action]:
        self.due = None
        return [Action.SAY_FALSE] if entered else []


_ACTS = {
    State.ANNOUNCING: Machine._announcing,
    State.LISTENING: Machine._listening,
    State.CONFIRMED: Machine._confirmed,
    State.CONTRADICTED: Machine._contradicted,
    State.UNCONFIRMED: Machine._unconfirmed,
    State.LEAVING: Machine._leaving,
}
