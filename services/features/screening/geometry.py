"""Candidates of geometry: how defender, receiver, passer and landing spot lie to each other."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ghostback.play import FIELD_WIDTH
from services.features.screening.candidates import Candidate, Known
from services.features.screening.kinematics import AXES, angle, length
from services.features.screening.throw import Throw

Points = NDArray[np.float64]
Compute = Callable[[Throw], Points | float]

_LANE_YARDS = 5.0
"""Defenders nearer to the target than this count as being around it."""


def _coverage(name: str, unit: str, description: str, compute: Compute) -> Candidate:
    return Candidate(name, unit, description, "coverage", Known.THROW, compute)


def _landing(name: str, unit: str, description: str, compute: Compute) -> Candidate:
    return Candidate(name, unit, description, "landing", Known.FLIGHT, compute)


def _ahead(name: str, description: str, compute: Compute) -> Candidate:
    return Candidate(name, "yd", description, "ahead", Known.ARRIVAL, compute)


def _gap(throw: Throw, lag: int = 0) -> Points:
    """From the defender to the receiver, (n_defenders, 2) yards."""
    return throw.receiver.position[:, -1 - lag] - throw.defenders.position[:, -1 - lag]


def _to_ball(throw: Throw) -> Points:
    return throw.ball.position[:, -1] - throw.defenders.position[:, -1]


def _closing(throw: Throw) -> Points:
    """Yards per second at which the gap closes."""
    relative = throw.receiver.velocity[:, -1] - throw.defenders.velocity[:, -1]
    return -_along(relative, _gap(throw))


def _along(vectors: Points, directions: Points) -> Points:
    """The component of vectors along directions."""
    return np.asarray((vectors * directions).sum(axis=-1) / np.maximum(length(directions), 1e-6))


def _lane(throw: Throw) -> tuple[Points, Points]:
    """How far the defender is along the line from ball to receiver, and to its left, yards."""
    line = throw.receiver.position[:, -1] - throw.ball.position[:, -1]
    place = throw.defenders.position[:, -1] - throw.ball.position[:, -1]
    left = np.stack([-line[:, 1], line[:, 0]], axis=-1)
    return _along(place, line), _along(place, left)


def _around(throw: Throw) -> Points:
    """(n_defenders, n_defense) yards from the target to each other defender; infinite to the defender himself."""
    rows = throw.defense
    distance = length(throw.bodies.position[rows, -1] - throw.receiver.position[:, -1])
    others = np.broadcast_to(distance, (len(throw.defender_ids), len(rows))).copy()
    others[throw.rows(throw.defender_ids)[:, None] == rows] = np.inf
    return others


def _inside(throw: Throw) -> Points:
    """Yards by which the defender is nearer to the middle of the field than the receiver."""
    middle = FIELD_WIDTH / 2
    receiver, defender = throw.receiver.position[:, -1, 1], throw.defenders.position[:, -1, 1]
    return np.asarray((receiver - defender) * np.sign(receiver - middle))


def _to_landing(throw: Throw) -> Points:
    return throw.landing - throw.defenders.position[:, -1]


def _needed_turn(throw: Throw) -> Points:
    return angle(throw.defenders.velocity[:, -1], _to_landing(throw))


def _drift(axis: int) -> Compute:
    return lambda t: (_to_landing(t) - t.defenders.velocity[:, -1] * t.air_seconds)[:, axis]


def _later(path: str, steps: int, axis: int) -> Compute:
    return lambda t: (t.ahead(getattr(t.target, path), steps) - t.defenders.position[:, -1])[:, axis]


COVERAGE = (
    _coverage("separation", "yd", "from defender to targeted receiver", lambda t: length(_gap(t))),
    _coverage("separation_gain", "yd", "gain of separation over 0.4 s", lambda t: length(_gap(t)) - length(_gap(t, 4))),
    _coverage("closing_speed", "yd/s", "speed at which the separation shrinks", _closing),
    _coverage(
        "time_to_receiver",
        "s",
        "separation over closing speed, at most 10 s",
        lambda t: np.minimum(length(_gap(t)) / np.maximum(_closing(t), 1e-6), 10.0),
    ),
    _coverage("leverage_inside", "yd", "how far the defender is inside of the receiver", _inside),
    _coverage("leverage_over", "yd", "how far the defender is deeper than the receiver", lambda t: -_gap(t)[:, 0]),
    _coverage(
        "speed_advantage",
        "yd/s",
        "defender's speed less the receiver's",
        lambda t: length(t.defenders.velocity[:, -1]) - length(t.receiver.velocity[:, -1]),
    ),
    _coverage(
        "running_together",
        "1",
        "cosine of the angle between the two's motion",
        lambda t: np.cos(np.radians(angle(t.defenders.velocity[:, -1], t.receiver.velocity[:, -1]))),
    ),
    _coverage(
        "turn_to_receiver",
        "deg",
        "from where the defender moves to the receiver",
        lambda t: angle(t.defenders.velocity[:, -1], _gap(t)),
    ),
    _coverage(
        "face_to_receiver",
        "deg",
        "from where the defender faces to the receiver",
        lambda t: angle(t.defenders.orientation[:, -1], _gap(t)),
    ),
    _coverage(
        "turn_to_ball",
        "deg",
        "from where the defender moves to the ball",
        lambda t: angle(t.defenders.velocity[:, -1], _to_ball(t)),
    ),
    _coverage(
        "face_to_ball",
        "deg",
        "from where the defender faces to the ball",
        lambda t: angle(t.defenders.orientation[:, -1], _to_ball(t)),
    ),
    _coverage(
        "ball_and_receiver",
        "deg",
        "from the ball to the receiver, seen from the defender",
        lambda t: angle(_to_ball(t), _gap(t)),
    ),
    _coverage("ball_distance", "yd", "from defender to ball", lambda t: length(_to_ball(t))),
    _coverage("lane_along", "yd", "defender's place along the line from ball to receiver", lambda t: _lane(t)[0]),
    _coverage("lane_across", "yd", "defender's place to the left of that line", lambda t: _lane(t)[1]),
    _coverage(
        "pass_length",
        "yd",
        "from ball to receiver",
        lambda t: length(t.receiver.position[:, -1] - t.ball.position[:, -1]),
    ),
    _coverage("help_distance", "yd", "from the receiver to the nearest other defender", lambda t: _around(t).min(-1)),
    _coverage(
        "defenders_around",
        "1",
        f"other defenders within {_LANE_YARDS:g} yards of the receiver",
        lambda t: (_around(t) < _LANE_YARDS).sum(-1).astype(float),
    ),
    _coverage(
        "defenders_nearer",
        "1",
        "other defenders who are nearer to the receiver",
        lambda t: (_around(t) < length(_gap(t))[:, None]).sum(-1).astype(float),
    ),
)

LANDING = (
    _landing(
        "landing_rel_x", "yd", "from the defender to the landing spot along the field", lambda t: _to_landing(t)[:, 0]
    ),
    _landing(
        "landing_rel_y", "yd", "from the defender to the landing spot across the field", lambda t: _to_landing(t)[:, 1]
    ),
    _landing(
        "landing_depth", "yd", "landing spot beyond the line of scrimmage", lambda t: t.landing[0] - t.line_of_scrimmage
    ),
    _landing(
        "landing_lateral",
        "yd",
        "landing spot across the field, from its middle",
        lambda t: t.landing[1] - FIELD_WIDTH / 2,
    ),
    _landing(
        "landing_to_sideline",
        "yd",
        "from the landing spot to the nearer sideline",
        lambda t: FIELD_WIDTH / 2 - abs(t.landing[1] - FIELD_WIDTH / 2),
    ),
    _landing("landing_distance", "yd", "from the defender to the landing spot", lambda t: length(_to_landing(t))),
    _landing("time_to_arrival", "s", "until the pass arrives", lambda t: t.air_seconds),
    _landing(
        "speed_needed",
        "yd/s",
        "speed at which the defender would be there in time",
        lambda t: length(_to_landing(t)) / t.air_seconds,
    ),
    _landing(
        "speed_lacking",
        "yd/s",
        "that speed less the defender's toward the spot",
        lambda t: length(_to_landing(t)) / t.air_seconds - _along(t.defenders.velocity[:, -1], _to_landing(t)),
    ),
    _landing("turn_to_landing", "deg", "from where the defender moves to the landing spot", _needed_turn),
    _landing("turn_needed", "deg", "magnitude of that angle", lambda t: np.abs(_needed_turn(t))),
    _landing(
        "face_to_landing",
        "deg",
        "from where the defender faces to the landing spot",
        lambda t: angle(t.defenders.orientation[:, -1], _to_landing(t)),
    ),
    *(
        _landing(
            f"drift_{letter}",
            "yd",
            f"from where the defender would be at arrival at his velocity to the landing spot, {where}",
            _drift(axis),
        )
        for axis, (letter, where) in enumerate(AXES.items())
    ),
    _landing(
        "receiver_to_landing",
        "yd",
        "from the receiver to the landing spot",
        lambda t: length(t.landing - t.receiver.position[:, -1]),
    ),
    _landing(
        "ball_speed",
        "yd/s",
        "mean speed of the ball over the ground",
        lambda t: length(t.landing - t.ball.position[:, -1]) / t.air_seconds,
    ),
    _landing(
        "landing_rank",
        "1",
        "defenders who are nearer to the landing spot",
        lambda t: (
            (length(t.bodies.position[t.defense, -1] - t.landing) < length(_to_landing(t))[:, None] - 1e-9)
            .sum(-1)
            .astype(float)
        ),
    ),
)

AHEAD = tuple(
    _ahead(
        f"{who}_ahead_{letter}_{steps}",
        f"from the defender at the throw to {what} {steps / 10:.1f} s later {where}",
        _later(path, steps, axis),
    )
    for who, what, path in (("receiver", "the targeted receiver", "receiver"), ("ball", "the ball", "ball"))
    for steps in (5, 10)
    for axis, (letter, where) in enumerate(AXES.items())
)

CANDIDATES: tuple[Candidate, ...] = (*COVERAGE, *LANDING, *AHEAD)
"""Coverage at the throw, the landing spot, and receiver and ball beyond the throw."""
