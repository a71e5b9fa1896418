"""Another client with our client id: recognised, named, and not fought. Pure: losses in, seconds to stay away out.

Two clients with one id throw each other out for ever, each with a last will, so that the shadow flickers. AWS says
so in a DISCONNECT with reason code 0x8E at best, and often just hangs up. Rules:

1. A DISCONNECT with 0x8E is a takeover.
2. So are `SUSPICIOUS` short links in a row that ended in a hang-up although nothing of ours could be to blame: the
   birth was acknowledged, and so was something on every topic that had a message in flight. One that may be our
   fault proves nothing either way.
3. Then this client stays away, longer each time, and comes back to see whether the other one is gone.
4. A link that lasts `STAYED_S` ends the suspicion.
"""

from __future__ import annotations

from collections.abc import Iterator

from serial2iot.backoff import delays
from serial2iot.cloud.diagnosis import TAKEN_OVER, LinkLoss

SHORT_S = 20.0
SUSPICIOUS = 3
STAYED_S = 60.0
STAY_AWAY_S = (30.0, 600.0)  # floor and cap


class Takeover:
    """What the ends of links tell about another client."""

    def __init__(self) -> None:
        self._short_links = 0
        self._away: Iterator[float] = delays(*STAY_AWAY_S)
        self.suspected = False

    def lost(self, loss: LinkLoss, *, blameless: bool) -> float | None:
        """Take the end of a link; seconds to stay away, or None to connect as usual."""
        if loss.up_s >= STAYED_S:
            self._short_links, self._away = 0, delays(*STAY_AWAY_S)
        if loss.reason_code == TAKEN_OVER:
            self._short_links = SUSPICIOUS
        elif not loss.unexplained or loss.up_s >= SHORT_S:
            self._short_links = 0
        elif blameless:
            self._short_links += 1
        self.suspected = self._short_links >= SUSPICIOUS
        return next(self._away) if self.suspected else None
