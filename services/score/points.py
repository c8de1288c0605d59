"""Expected points: what having the ball in a situation is worth, as the next score of the game.

The table is of nflfastR's expected-points model (version 2.1.0) as M. Morris tabled it (michael-morris.us, "Expect
Points Added Cheatsheet", 2020): first down and ten, second and third down by yards to go, from the 10 to the own 10.
It has no fourth down: there the ball is punted or kicked, whichever is worth more.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PROFILE = "field-position@1"
"""Names this table and these constants; another one is another version."""

TOUCHDOWN, FIELD_GOAL, SAFETY = 7.0, 3.0, -2.0
_TO_GO = np.array([1.0, 3.0, 5.0, 7.0, 10.0])
# fmt: off
_YARDS = np.array([10., 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90])
_FIRST = np.array([5.0, 4.8, 4.4, 4.1, 3.8, 3.5, 3.2, 2.8, 2.5, 2.2, 1.8, 1.5, 1.2, 1.1, 0.6, 0.2, -0.1])
_SECOND = np.array([
    [5.2, 5.0, 4.5, 4.2, 3.9, 3.6, 3.2, 3.0, 2.7, 2.4, 2.0, 1.7, 1.5, 1.1, 0.6, 0.4, 0.1],
    [4.9, 4.7, 4.3, 4.0, 3.7, 3.4, 3.0, 2.8, 2.4, 2.0, 1.7, 1.3, 1.1, 0.8, 0.5, 0.2, -0.1],
    [4.8, 4.6, 4.3, 3.9, 3.6, 3.3, 2.9, 2.6, 2.3, 2.0, 1.6, 1.2, 1.1, 0.7, 0.3, 0.0, -0.4],
    [4.6, 4.4, 4.1, 3.8, 3.5, 3.1, 2.8, 2.4, 2.1, 1.8, 1.4, 1.0, 0.8, 0.5, 0.1, -0.3, -0.6],
    [4.5, 4.4, 4.0, 3.7, 3.4, 3.0, 2.6, 2.4, 2.1, 1.7, 1.3, 0.9, 0.7, 0.5, 0.1, -0.3, -0.6],
])
_THIRD = np.array([
    [4.6, 4.4, 4.1, 3.7, 3.3, 3.0, 2.7, 2.5, 2.1, 1.8, 1.5, 1.1, 1.0, 0.6, 0.2, -0.2, -0.5],
    [4.3, 4.1, 3.7, 3.4, 3.1, 2.7, 2.3, 2.0, 1.6, 1.3, 0.9, 0.6, 0.5, 0.1, -0.2, -0.6, -0.8],
    [4.1, 3.9, 3.7, 3.4, 2.9, 2.5, 2.1, 1.8, 1.5, 1.1, 0.8, 0.5, 0.3, 0.0, -0.4, -0.8, -1.1],
    [3.9, 3.8, 3.5, 3.2, 2.8, 2.3, 1.9, 1.7, 1.3, 1.0, 0.7, 0.3, 0.1, -0.2, -0.5, -0.9, -1.2],
    [3.8, 3.7, 3.4, 3.1, 2.7, 2.3, 1.9, 1.6, 1.3, 0.9, 0.6, 0.3, 0.1, -0.2, -0.6, -0.9, -1.3],
])
# fmt: on
_AT_GOAL = {1: 6.5, 2: 6.0, 3: 5.0}
"""Points by down at the goal line, our own guess: the table ends at the 10."""
_AT_OWN_GOAL = 0.6
"""Points that the last ten yards before the own goal line cost, as in the five that the table has of some downs."""
_KICKED_FROM = np.array([10.0, 35.0, 40.0, 45.0])
_KICK_GOOD = np.array([0.97, 0.57, 0.36, 0.0])
"""Share of field goals that are good: 1.6 in 100 fewer for each yard from the 10 to the 35, and 36 in 100 from the 40
(B. Burke, advancedfootballanalytics.com, 2008 and 2013)."""
_KICK_SPOT = 7.0
"""Yards behind the line of scrimmage from where one kicks."""
_PUNT, _LONGEST_WAY = 40.0, 88.0
"""Net yards of a punt, and the farthest from the other end zone that it leaves the opponent: from the 40 he has the
ball at his own 12 on average (Burke 2008)."""
_TOUCHBACK = 80.0


@dataclass(frozen=True, slots=True)
class Situation:
    """Who has the ball where.

    Attributes:
        down: 1 to 4.
        to_go: yards to a first down.
        to_end_zone: yards to the end zone.
    """

    down: int
    to_go: float
    to_end_zone: float

    def worth(self) -> float:
        """Expected points of the team with the ball."""
        return float(_worth(self.down, np.array([self.to_go]), np.array([self.to_end_zone]))[0])

    def after_gain(self, yards: Floats) -> Floats:
        """Expected points (n,) of the same team after plays that gain some yards (n,)."""
        left = self.to_end_zone - yards
        if self.down < 4:
            short = _worth(self.down + 1, np.maximum(self.to_go - yards, 0.0), left)
        else:
            short = -_first(100.0 - left)
        after = np.where(yards >= self.to_go, _first(left), short)
        ended: Floats = np.select([left <= 0.0, left >= 100.0], [TOUCHDOWN, SAFETY], after)
        return ended

    def after_interception(self, yards: float) -> float:
        """Expected points of the same team after a pass is intercepted some yards downfield and not returned."""
        left = self.to_end_zone - yards
        return -float(_first(np.array([100.0 - left if left > 0.0 else _TOUCHBACK]))[0])


def _worth(down: int, to_go: Floats, to_end_zone: Floats) -> Floats:
    if down == 1:
        return _first(to_end_zone)
    if down == 4:
        return _kicked(to_end_zone)
    by_to_go = np.array([_along(row, down, to_end_zone) for row in (_SECOND if down == 2 else _THIRD)])
    place = np.interp(to_go, _TO_GO, np.arange(len(_TO_GO)))
    low = np.minimum(place.astype(np.intp), len(_TO_GO) - 2)
    share, n = place - low, np.arange(len(to_go))
    worth: Floats = (1.0 - share) * by_to_go[low, n] + share * by_to_go[low + 1, n]
    return worth


def _first(to_end_zone: Floats) -> Floats:
    return _along(_FIRST, 1, to_end_zone)


def _along(row: Floats, down: int, to_end_zone: Floats) -> Floats:
    """A row of the table between its yards, and on to both goal lines."""
    yards = np.array([0.0, *_YARDS, 100.0])
    along: Floats = np.interp(to_end_zone, yards, np.array([_AT_GOAL[down], *row, row[-1] - _AT_OWN_GOAL]))
    return along


def _kicked(to_end_zone: Floats) -> Floats:
    """Expected points of the better of a punt and a field goal."""
    good = np.interp(to_end_zone, _KICKED_FROM, _KICK_GOOD)
    missed = -_first(np.minimum(100.0 - to_end_zone - _KICK_SPOT, _TOUCHBACK))
    punt = -_first(np.minimum(100.0 - to_end_zone + _PUNT, _LONGEST_WAY))
    better: Floats = np.maximum(good * FIELD_GOAL + (1.0 - good) * missed, punt)
    return better
