"""What the offense does: who lines up where, and what the receivers run against what they see."""

import numpy as np

from ghostback.play import FIELD_LENGTH, FIELD_WIDTH
from simulator import league
from simulator.assignments import Assignments
from simulator.playbook import (
    HOT,
    N_CORNERS,
    N_ELIGIBLE,
    ROUTE_SHARES,
    ROUTES,
    Coverage,
    Formation,
    Job,
    Look,
    Spot,
    Tempo,
)
from simulator.values import Floats

READS_RIGHT = 0.5
"""Share of receivers who adjust a route that has an option."""
HOTS = 0.35
"""Share of blitzes that a receiver breaks off his route against."""


def lineup(rng: np.random.Generator, offense: str, defense: str, formation: Formation) -> tuple[league.Person, ...]:
    """Who fills the 22 slots: starters mostly; extra backs come in for linebackers as the offense spreads out."""
    wide = sum(position == "WR" for position, *_ in formation.receivers)
    middle = ["ILB", "ILB", "OLB"]
    backs = int(np.clip(wide - 2 + (rng.random() < 0.2), 0, 2))
    middle[3 - backs :] = ["CB"] * backs
    attack = ["QB", "T", "G", "C", "G", "T", *(r[0] for r in formation.receivers)]
    guard = ["DE", "DT", "NT", "DE", *middle, "CB", "CB", "FS", "SS"]
    return (*_pick(rng, offense, attack), *_pick(rng, defense, guard))


def line_up(rng: np.random.Generator, formation: Formation, ball: Floats) -> Floats:
    """(11, 2) where the offense lines up."""
    side = rng.choice([-1.0, 1.0])
    deep = formation.receivers[-1][2] > 6.0
    quarterback = [(-1.2 if deep else -5.0, 0.0)]
    line = [(-1.6, 3.2), (-1.4, 1.6), (-0.8, 0.0), (-1.4, -1.6), (-1.6, -3.2)]
    receivers = [(-behind, side * across) for _, _, behind, across in formation.receivers]
    places = np.array(quarterback + line + receivers) + ball
    places[6:, 1] += rng.normal(0.0, 0.5, N_ELIGIBLE)
    places[:, 1] = np.clip(places[:, 1], 3.5, FIELD_WIDTH - 3.5)
    return places


def routes(
    rng: np.random.Generator,
    formation: Formation,
    tempo: Tempo,
    hot: int,
    coverage: Coverage,
    defense: Assignments,
    receivers: Floats,
    ball_y: float,
) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Corners (5, 4, 2) of everyone's route, the seconds each waits, and the routes' names.

    Args:
        rng: the play's generator.
        formation: of the offense.
        tempo: how long the quarterback means to hold the ball.
        hot: the receiver (0-4) who breaks off his route against a blitz, -1 for nobody.
        coverage: that the receivers see.
        defense: what the defenders do.
        receivers: (5, 2) where the receivers line up.
        ball_y: where the ball is snapped.
    """
    corners = np.empty((N_ELIGIBLE, N_CORNERS, 2))
    delay = np.empty(N_ELIGIBLE)
    names = []
    for i, (_, spot, _, _) in enumerate(formation.receivers):
        shares = ROUTE_SHARES[spot][tempo]
        weights = np.array(list(shares.values()), float)
        called = list(shares)[int(rng.choice(len(shares), p=weights / weights.sum()))]
        name = HOT if i == hot else _adjusted(called, _looks(coverage, defense, i), bool(rng.random() < READS_RIGHT))
        route = ROUTES[name]
        outward = np.sign(receivers[i, 1] - ball_y) or 1.0
        points = np.array(route.corners) * rng.uniform(0.85, 1.15, 2) * (1.0, outward)
        if not route.settles:
            heading = points[-1] - (points[-2] if len(points) > 1 else 0.0)
            points = np.append(points, [points[-1] + 30.0 * heading / np.linalg.norm(heading)], axis=0)
        points = receivers[i] + points
        points[:, 0] = np.minimum(points[:, 0], FIELD_LENGTH - 1.5)
        points[:, 1] = np.clip(points[:, 1], 1.8, FIELD_WIDTH - 1.8)
        corners[i] = points[np.minimum(np.arange(N_CORNERS), len(points) - 1)]
        delay[i] = route.delay * rng.uniform(0.7, 1.3)
        names.append(name)
    return corners, delay, tuple(names)


def hot_receiver(rng: np.random.Generator, formation: Formation, defense: Assignments) -> int:
    """The receiver (0-4) who becomes the quick answer to five or more rushers, -1 for nobody."""
    inside = [i for i, (_, spot, _, _) in enumerate(formation.receivers) if spot in (Spot.SLOT, Spot.TIGHT)]
    blitz = (defense.job == Job.RUSH).sum() > 4
    return int(rng.choice(inside)) if blitz and rng.random() < HOTS else -1


def _looks(coverage: Coverage, defense: Assignments, receiver: int) -> set[Look]:
    if coverage.man:
        return {Look.MAN, Look.PRESS} if defense.jam[receiver] > 0 else {Look.MAN}
    return {Look.ZONE, Look.TWO_HIGH} if coverage.high == 2 else {Look.ZONE}


def _adjusted(called: str, looks: set[Look], reads: bool) -> str:
    return next((name for look, name in ROUTES[called].options.items() if reads and look in looks), called)


def _pick(rng: np.random.Generator, team: str, positions: list[str]) -> list[league.Person]:
    """Distinct players for the positions; those high on the roster come first more often."""
    order: dict[str, list[league.Person]] = {}
    for position, group in league.roster(team).items():
        rank = np.arange(len(group)) + rng.gumbel(0.0, 0.0 if position == "QB" else 0.5, len(group))
        order[position] = [group[i] for i in np.argsort(rank)]
    return [order[position].pop(0) for position in positions]
