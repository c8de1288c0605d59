"""What teams line up in, run and play: formations, the route tree, coverages.

All places are yards with the offense moving toward +x. Twenty-two *slots* stand for the players of
a play: 0 the quarterback, 1-5 the line from left to right (larger y is left), 6-10 the eligible
receivers, 11-14 the defensive line, 15-17 linebackers or extra backs, 18-19 the left and right
cornerback, 20 the free and 21 the strong safety.
"""

from dataclasses import dataclass, field
from enum import IntEnum

QUARTERBACK = 0
N_ELIGIBLE, N_DEFENSE, N_PLAYERS = 5, 11, 22
N_CORNERS = 4
"""Corners of a route; shorter routes repeat their last."""
CARRIER = 4
"""The eligible receiver, 0-4, who carries the ball on runs."""
LINE = slice(1, 6)
ELIGIBLE = slice(6, 11)
OFFENSE = slice(0, 11)
DEFENSE = slice(11, 22)
LINEBACKERS = slice(15, 18)
"""Linebackers, and the extra backs who come in for them."""


class Kind(IntEnum):
    """What becomes of a play."""

    PASS = 0
    RUN = 1
    SACK = 2


class Spot(IntEnum):
    """Where an eligible receiver lines up."""

    WIDE = 0
    SLOT = 1
    TIGHT = 2
    BACK = 3


class Job(IntEnum):
    """A defender's assignment."""

    RUSH = 0
    MAN = 1
    UNDER = 2
    DEEP = 3


class Tempo(IntEnum):
    """How long the quarterback means to hold the ball."""

    QUICK = 0
    MEDIUM = 1
    LONG = 2


@dataclass(frozen=True, slots=True)
class Formation:
    """Five eligible receivers: (position, spot, yards behind the line, yards to the strong side)."""

    name: str
    share: float
    receivers: tuple[tuple[str, Spot, float, float], ...]


FORMATIONS = (
    Formation(
        "doubles",
        0.30,
        (
            ("WR", Spot.WIDE, 0.6, -17.0),
            ("WR", Spot.WIDE, 1.5, 17.0),
            ("WR", Spot.SLOT, 1.5, 9.0),
            ("TE", Spot.TIGHT, 0.8, -4.3),
            ("RB", Spot.BACK, 5.5, -1.8),
        ),
    ),
    Formation(
        "trips",
        0.20,
        (
            ("WR", Spot.WIDE, 0.6, -17.0),
            ("WR", Spot.WIDE, 1.5, 18.5),
            ("WR", Spot.SLOT, 1.5, 12.0),
            ("TE", Spot.TIGHT, 0.8, 5.0),
            ("RB", Spot.BACK, 5.5, -1.8),
        ),
    ),
    Formation(
        "bunch",
        0.08,
        (
            ("WR", Spot.WIDE, 0.6, -16.0),
            ("WR", Spot.SLOT, 1.8, 11.0),
            ("WR", Spot.SLOT, 0.6, 9.3),
            ("TE", Spot.TIGHT, 1.8, 7.6),
            ("RB", Spot.BACK, 5.5, 1.8),
        ),
    ),
    Formation(
        "empty",
        0.08,
        (
            ("WR", Spot.WIDE, 0.6, -18.0),
            ("WR", Spot.WIDE, 1.5, 18.0),
            ("WR", Spot.SLOT, 1.5, 10.0),
            ("TE", Spot.SLOT, 1.5, -7.0),
            ("RB", Spot.SLOT, 1.5, -12.0),
        ),
    ),
    Formation(
        "ace",
        0.20,
        (
            ("WR", Spot.WIDE, 0.6, -16.5),
            ("WR", Spot.WIDE, 1.5, 16.5),
            ("TE", Spot.TIGHT, 0.8, -4.3),
            ("TE", Spot.TIGHT, 0.8, 4.3),
            ("RB", Spot.BACK, 7.0, 0.0),
        ),
    ),
    Formation(
        "i-form",
        0.08,
        (
            ("WR", Spot.WIDE, 0.6, -16.5),
            ("WR", Spot.WIDE, 1.5, 15.0),
            ("TE", Spot.TIGHT, 0.8, 4.3),
            ("FB", Spot.BACK, 4.5, 0.3),
            ("RB", Spot.BACK, 7.2, 0.0),
        ),
    ),
    Formation(
        "spread",
        0.06,
        (
            ("WR", Spot.WIDE, 0.6, -18.0),
            ("WR", Spot.WIDE, 1.5, 18.0),
            ("WR", Spot.SLOT, 1.5, -10.0),
            ("WR", Spot.SLOT, 1.5, 10.0),
            ("RB", Spot.BACK, 5.5, 1.8),
        ),
    ),
)


class Look(IntEnum):
    """What a receiver sees of the coverage, and adjusts his route to."""

    MAN = 0
    PRESS = 1
    ZONE = 2
    TWO_HIGH = 3


@dataclass(frozen=True, slots=True)
class Route:
    """Corners of a route as (yards downfield, yards outward) from where the receiver lines up.

    A route that settles ends at its last corner; any other keeps its last heading. `options` are
    the routes it turns into by what the receiver sees.
    """

    corners: tuple[tuple[float, float], ...]
    settles: bool = False
    delay: float = 0.0
    options: dict[Look, str] = field(default_factory=dict)


ROUTES = {
    "hitch": Route(((6.0, 0.0), (4.8, -0.6)), settles=True, options={Look.PRESS: "go"}),
    "slant": Route(((3.0, 0.0), (8.0, -6.5))),
    "quick out": Route(((5.0, 0.0), (5.3, 6.0))),
    "flat": Route(((1.5, 1.0), (3.5, 8.0))),
    "stick": Route(((5.5, 0.0), (5.2, 1.6)), settles=True, options={Look.MAN: "quick out"}),
    "shallow cross": Route(((2.0, -2.0), (5.5, -18.0)), options={Look.ZONE: "shallow sit"}),
    "shallow sit": Route(((2.0, -2.0), (5.5, -9.0)), settles=True),
    "curl": Route(((12.0, 0.0), (10.0, -1.5)), settles=True, options={Look.MAN: "comeback"}),
    "comeback": Route(((15.0, 0.0), (12.5, 3.5)), settles=True),
    "out": Route(((10.5, 0.0), (10.3, 7.0))),
    "dig": Route(((12.0, 0.0), (12.3, -14.0)), options={Look.ZONE: "dig sit"}),
    "dig sit": Route(((12.0, 0.0), (11.8, -6.5)), settles=True),
    "over": Route(((7.0, -1.0), (16.0, -18.0))),
    "corner": Route(((11.5, 0.0), (21.0, 8.0))),
    "post": Route(((12.0, 0.0), (26.0, -7.5))),
    "go": Route(((8.0, 1.0), (35.0, 1.5))),
    "seam": Route(((8.0, 0.0), (35.0, 0.0)), options={Look.TWO_HIGH: "bender"}),
    "bender": Route(((10.0, 0.0), (22.0, -5.0))),
    "swing": Route(((-0.5, 4.0), (2.0, 9.0), (9.0, 12.0))),
    "screen": Route(((-1.5, -3.0), (-1.0, -4.5)), settles=True),
    "checkdown": Route(((5.0, 2.0),), settles=True, delay=0.9, options={Look.MAN: "angle"}),
    "angle": Route(((6.5, 4.0), (13.0, -2.5))),
    "wheel": Route(((2.0, 7.0), (7.0, 11.0), (30.0, 12.0))),
}

HOT = "slant"
"""What a receiver runs who sees a blitz."""

ROUTE_SHARES: dict[Spot, dict[Tempo, dict[str, float]]] = {
    Spot.WIDE: {
        Tempo.QUICK: {"hitch": 2, "slant": 3.5, "quick out": 3.5, "go": 3, "screen": 2},
        Tempo.MEDIUM: {"curl": 1.5, "comeback": 1, "out": 3, "dig": 3, "go": 2.5, "post": 2, "shallow cross": 2},
        Tempo.LONG: {"go": 3, "post": 3, "corner": 1, "dig": 2, "comeback": 2, "over": 2},
    },
    Spot.SLOT: {
        Tempo.QUICK: {"hitch": 1.5, "slant": 2, "quick out": 3, "flat": 2, "shallow cross": 3, "seam": 1, "screen": 2},
        Tempo.MEDIUM: {"dig": 2, "out": 2, "shallow cross": 4, "curl": 1, "seam": 1.5, "corner": 1.5, "over": 2},
        Tempo.LONG: {"over": 3, "corner": 2, "post": 2, "seam": 2, "shallow cross": 2},
    },
    Spot.TIGHT: {
        Tempo.QUICK: {"stick": 2, "flat": 4, "hitch": 1, "slant": 2},
        Tempo.MEDIUM: {"stick": 1, "shallow cross": 4, "seam": 2, "corner": 1.5, "curl": 1, "flat": 2, "over": 2},
        Tempo.LONG: {"over": 3, "seam": 2, "shallow cross": 3, "corner": 2, "flat": 1},
    },
    Spot.BACK: {
        Tempo.QUICK: {"swing": 3, "flat": 3, "checkdown": 2},
        Tempo.MEDIUM: {"checkdown": 2.5, "swing": 3, "angle": 2, "flat": 3, "wheel": 0.6},
        Tempo.LONG: {"checkdown": 3, "angle": 2, "swing": 2, "wheel": 1},
    },
}


class Match(IntEnum):
    """When a zone defender takes a receiver over."""

    NEVER = 0
    VERTICAL = 1
    SHORT = 2


@dataclass(frozen=True, slots=True)
class Coverage:
    """Zones by slot: (assignment, yards deep, yards left of the middle of the field).

    Slots without a zone cover a man. `high` is how many safeties line up deep. `rules` say for whom
    a zone defender has an eye, as (when he takes him over, side, number of the receiver counted
    from the sideline); they are played in a share `matched` of the plays.
    """

    name: str
    share: float
    high: int
    zones: dict[int, tuple[Job, float, float]]
    matched: float = 0.0
    rules: dict[int, tuple[Match, int, int]] = field(default_factory=dict)

    @property
    def man(self) -> bool:
        """Whether it is man coverage."""
        return len(self.zones) < 2


COVERAGES = (
    Coverage("cover 0", 0.05, 0, {}),
    Coverage("cover 1", 0.24, 1, {20: (Job.DEEP, 19.0, 0.0)}),
    Coverage(
        "cover 2",
        0.14,
        2,
        {
            15: (Job.UNDER, 10.0, 0.0),
            16: (Job.UNDER, 8.5, 8.0),
            17: (Job.UNDER, 8.5, -8.0),
            18: (Job.UNDER, 6.0, 18.5),
            19: (Job.UNDER, 6.0, -18.5),
            20: (Job.DEEP, 18.0, 12.5),
            21: (Job.DEEP, 18.0, -12.5),
        },
    ),
    Coverage(
        "cover 3",
        0.34,
        1,
        {
            15: (Job.UNDER, 9.0, 4.5),
            16: (Job.UNDER, 9.0, -4.5),
            17: (Job.UNDER, 7.0, 12.5),
            18: (Job.DEEP, 15.0, 17.5),
            19: (Job.DEEP, 15.0, -17.5),
            20: (Job.DEEP, 19.0, 0.0),
            21: (Job.UNDER, 7.0, -12.5),
        },
        0.75,
        {
            17: (Match.VERTICAL, 1, 2),
            18: (Match.VERTICAL, 1, 1),
            19: (Match.VERTICAL, -1, 1),
            21: (Match.VERTICAL, -1, 2),
        },
    ),
    Coverage(
        "cover 4",
        0.15,
        2,
        {
            15: (Job.UNDER, 9.0, 0.0),
            16: (Job.UNDER, 7.5, 10.5),
            17: (Job.UNDER, 7.5, -10.5),
            18: (Job.DEEP, 14.5, 18.5),
            19: (Job.DEEP, 14.5, -18.5),
            20: (Job.DEEP, 15.0, 6.5),
            21: (Job.DEEP, 15.0, -6.5),
        },
        0.9,
        {
            16: (Match.SHORT, 1, 2),
            17: (Match.SHORT, -1, 2),
            18: (Match.VERTICAL, 1, 1),
            19: (Match.VERTICAL, -1, 1),
            20: (Match.VERTICAL, 1, 2),
            21: (Match.VERTICAL, -1, 2),
        },
    ),
    Coverage(
        "cover 6",
        0.08,
        2,
        {
            15: (Job.UNDER, 9.0, 0.0),
            16: (Job.UNDER, 8.0, 9.5),
            17: (Job.UNDER, 7.5, -10.5),
            18: (Job.UNDER, 6.0, 18.5),
            19: (Job.DEEP, 14.5, -18.5),
            20: (Job.DEEP, 18.0, 12.5),
            21: (Job.DEEP, 15.0, -6.0),
        },
        0.9,
        {17: (Match.SHORT, -1, 2), 19: (Match.VERTICAL, -1, 1), 21: (Match.VERTICAL, -1, 2)},
    ),
)
