"""Which topic or reading is to blame when the broker hangs up. Pure: events in, a verdict out.

A hang-up proves nothing about what was in flight: AWS cuts the link for a refused publish, for a takeover and
for its own reasons, and Wi-Fi does too. So nothing is set aside on suspicion, and a refused policy can never
empty the spool. Rules, for each topic (each lane of the spool):

1. Cut with messages in flight: the topic is *suspected*. Its next reading travels alone: nothing else is in
   flight. One reading acknowledged alone clears the topic.
2. The same reading cut three times alone: the *next* reading is tried in its place. If that one is
   acknowledged, the first is at fault and is set aside (`poison`). If that one is cut as well, the topic is
   *refused*.
3. The server said that the very message is at fault (0x90, 0x95, 0x99): if it was alone it is set aside
   (`invalid`), else the topic is suspected.
4. A PUBACK that says 0x87 refuses the topic at once.
5. A refused topic keeps its readings and is probed with one reading alone every `PROBE_EVERY_S`. An
   acknowledged probe clears it. Other topics go on.
6. A probe may cost the link, so a new connection first belongs to the other topics for `CALM_S`. That is longer
   than the 30 s after which the session's back-off starts over: without it, a back-off that an outage had
   driven up to a minute would make a probe due on every connection, and end each before anything else went.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

PROBE_EVERY_S = 60.0
CALM_S = 35.0
CUTS_BEFORE_DOUBT = 3


class Standing(Enum):
    """What is thought of a topic."""

    CLEAR = "clear"
    SUSPECTED = "suspected"
    DOUBTED = "doubted"  # one reading was cut three times alone: is it the reading or the topic?
    REFUSED = "refused"


@dataclass(slots=True)
class Suspicion:
    """What is known against one topic. Times are monotonic seconds."""

    standing: Standing = Standing.CLEAR
    probe_at: float = 0.0
    culprit: int | None = None  # the spool's id of the reading that was cut alone
    cuts: int = 0
    set_aside: list[int] = field(default_factory=list)  # found guilty since last asked

    @property
    def alone(self) -> bool:
        """Whether the next reading has to travel alone."""
        return self.standing is not Standing.CLEAR

    @property
    def doubted(self) -> int | None:
        """The reading in whose place the next one is to be tried."""
        return self.culprit if self.standing is Standing.DOUBTED else None

    def wait(self, now: float) -> float:
        """Seconds until this topic may be tried."""
        return max(0.0, self.probe_at - now) if self.standing is Standing.REFUSED else 0.0

    def link_up(self, now: float) -> None:
        """A new connection: no probe before the others had their turn."""
        self.probe_at = max(self.probe_at, now + CALM_S)

    def acknowledged(self, ids: list[int]) -> None:
        """The broker took these readings."""
        if self.standing is Standing.DOUBTED and self.culprit is not None and self.culprit not in ids:
            self.set_aside.append(self.culprit)
            self._suspect(None)  # the next one has to prove itself alone as well
            return
        if self.standing is not Standing.CLEAR:
            self.standing, self.culprit, self.cuts = Standing.CLEAR, None, 0

    def cut(self, ids: list[int], now: float, *, alone: bool) -> None:
        """The link went while these readings were in flight."""
        if self.standing in (Standing.CLEAR, Standing.SUSPECTED) and not alone:
            self._suspect(None)
        elif self.standing is Standing.REFUSED:
            self.probe_at = now + PROBE_EVERY_S
        elif self.standing is Standing.DOUBTED and ids[0] != self.culprit:
            self.refused(now)
        else:
            self._cut_alone(ids[0])

    def faulted(self, ids: list[int], now: float, *, alone: bool) -> bool:
        """The server called the message itself invalid; True where that is proof against its one reading."""
        if alone and len(ids) == 1:
            self._suspect(None)
            return True
        self.cut(ids, now, alone=False)
        return False

    def refused(self, now: float) -> None:
        """The policy does not allow this topic, as far as anyone can tell."""
        self.standing, self.probe_at = Standing.REFUSED, now + PROBE_EVERY_S
        self.culprit, self.cuts = None, 0

    def _cut_alone(self, id: int) -> None:
        if id != self.culprit:
            self._suspect(id)
        self.cuts += 1
        if self.cuts >= CUTS_BEFORE_DOUBT:
            self.standing = Standing.DOUBTED

    def _suspect(self, id: int | None) -> None:
        self.standing, self.culprit, self.cuts = Standing.SUSPECTED, id, 0
