"""Candidates of motion: the defender, the targeted receiver, the ball, the passer, and who is near."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ghostback.play import FIELD_LENGTH, FIELD_WIDTH
from services.features.screening.candidates import Candidate, Known
from services.features.screening.throw import Bodies, Throw

Points = NDArray[np.float64]
Chosen = Callable[[Throw], Bodies]

AXES = {"x": "along the field", "y": "across the field"}
LAGS = (1, 2, 3, 4)
"""Steps before the throw."""


def _motion(who: str, what: str, chosen: Chosen) -> Iterator[Candidate]:
    """Velocity, acceleration, facing and displacements of one, in all over the observed steps and by component."""

    def add(name: str, unit: str, description: str, compute: Callable[[Bodies], Points]) -> Candidate:
        return Candidate(
            f"{who}_{name}",
            unit,
            description.format(what=what),
            who,
            Known.THROW,
            lambda throw: compute(chosen(throw)),
        )

    for axis, (letter, where) in enumerate(AXES.items()):
        yield add(f"v{letter}", "yd/s", f"velocity of {{what}} {where}", _component("velocity", axis))
        yield add(f"a{letter}", "yd/s^2", f"acceleration of {{what}} {where}", _component("acceleration", axis))
        yield add(f"o{letter}", "1", f"component of where {{what}} faces {where}", _component("orientation", axis))
        for lag in LAGS:
            began = f"in the step that began {lag / 10:.1f} s before the throw"
            yield add(f"d{letter}_{lag}", "yd", f"way of {{what}} {where} {began}", _way(axis, lag))
        yield add(
            f"v{letter}_4",
            "yd/s",
            f"velocity of {{what}} {where} 0.4 s before the throw",
            _component("velocity", axis, 4),
        )
    yield add("speed", "yd/s", "speed of {what}", lambda b: length(b.velocity[:, -1]))
    yield add(
        "speed_gain",
        "yd/s",
        "gain of speed of {what} over 0.4 s",
        lambda b: length(b.velocity[:, -1]) - length(b.velocity[:, -5]),
    )
    yield add("acceleration", "yd/s^2", "magnitude of acceleration of {what}", lambda b: length(b.acceleration[:, -1]))
    yield add(
        "turn", "deg", "turn of {what}'s motion over 0.4 s", lambda b: angle(b.velocity[:, -5], b.velocity[:, -1])
    )
    yield add(
        "hips",
        "deg",
        "angle from where {what} moves to where the chest faces",
        lambda b: angle(b.velocity[:, -1], b.orientation[:, -1]),
    )
    yield add("path", "yd", "way of {what} in 0.4 s", lambda b: length(np.diff(b.position, axis=1)).sum(axis=-1))


def _component(part: str, axis: int, lag: int = 0) -> Callable[[Bodies], Points]:
    return lambda bodies: np.asarray(getattr(bodies, part)[:, -1 - lag, axis])


def _way(axis: int, lag: int) -> Callable[[Bodies], Points]:
    return lambda bodies: bodies.position[:, -lag, axis] - bodies.position[:, -lag - 1, axis]


def _seen(chosen: Chosen, component: Callable[[Bodies], Points]) -> Callable[[Throw], Points]:
    """A component of one less the defender's."""
    return lambda throw: component(chosen(throw)) - component(throw.defenders)


def _place(who: str, what: str, chosen: Chosen) -> Iterator[Candidate]:
    """Where one is on the field."""
    for name, description, compute in (
        (
            "depth",
            f"how far {what} is beyond the line of scrimmage",
            lambda throw: chosen(throw).position[:, -1, 0] - throw.line_of_scrimmage,
        ),
        (
            "lateral",
            f"place of {what} across the field, from its middle",
            lambda throw: chosen(throw).position[:, -1, 1] - FIELD_WIDTH / 2,
        ),
        (
            "to_goal",
            f"how far {what} is from the goal line the offense attacks",
            lambda throw: FIELD_LENGTH - 10 - chosen(throw).position[:, -1, 0],
        ),
        (
            "to_sideline",
            f"how far {what} is from the nearer sideline",
            lambda throw: FIELD_WIDTH / 2 - np.abs(chosen(throw).position[:, -1, 1] - FIELD_WIDTH / 2),
        ),
    ):
        yield Candidate(f"{who}_{name}", "yd", description, who, Known.THROW, compute)


def _relative(who: str, what: str, group: str, chosen: Chosen, lags: tuple[int, ...] = ()) -> Iterator[Candidate]:
    """Place and velocity of one as the defender sees them."""
    for axis, (letter, where) in enumerate(AXES.items()):
        for lag in (0, *lags):
            yield Candidate(
                f"{who}_rel_{letter}" + (f"_{lag}" if lag else ""),
                "yd",
                f"from the defender to {what} {where}" + (f" {lag / 10:.1f} s before the throw" if lag else ""),
                group,
                Known.THROW,
                _seen(chosen, _component("position", axis, lag)),
            )
        yield Candidate(
            f"{who}_rel_v{letter}",
            "yd/s",
            f"velocity of {what} less the defender's {where}",
            group,
            Known.THROW,
            _seen(chosen, _component("velocity", axis)),
        )


def _near(who: str, what: str, rank: int, among: Callable[[Throw], NDArray[np.intp]]) -> Iterator[Candidate]:
    """Someone near the defender."""

    def chosen(throw: Throw) -> Bodies:
        return throw.bodies.take(throw.nearest(among(throw), throw.defenders.position[:, -1], rank))

    yield from _relative(who, what, "neighbours", chosen)
    yield Candidate(
        f"{who}_distance",
        "yd",
        f"how far {what} is",
        "neighbours",
        Known.THROW,
        lambda throw: length(chosen(throw).position[:, -1] - throw.defenders.position[:, -1]),
    )


def angle(first: Points, second: Points) -> Points:
    """Degrees from one vector to another, (n, 2) each, counter-clockwise; NaN where one has no length."""
    cross = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    dot = (first * second).sum(axis=-1)
    return np.where((cross == 0) & (dot == 0), np.nan, np.degrees(np.arctan2(cross, dot)))


def length(vectors: Points) -> Points:
    """Lengths of vectors (..., 2)."""
    return np.asarray(np.linalg.norm(vectors, axis=-1))


_WHO: dict[str, tuple[str, Chosen]] = {
    "defender": ("the defender", lambda throw: throw.defenders),
    "receiver": ("the targeted receiver", lambda throw: throw.receiver),
    "ball": ("the ball", lambda throw: throw.ball),
    "passer": ("the passer", lambda throw: throw.passer),
}

CANDIDATES: tuple[Candidate, ...] = (
    *(candidate for who, (what, chosen) in _WHO.items() for candidate in _motion(who, what, chosen)),
    *(candidate for who, (what, chosen) in _WHO.items() for candidate in _place(who, what, chosen)),
    *_relative("receiver", "the targeted receiver", "receiver", lambda throw: throw.receiver, LAGS),
    *_relative("ball", "the ball", "ball", lambda throw: throw.ball, LAGS),
    *_near("near_defender_1", "the nearest other defender", 1, lambda throw: throw.defense),
    *_near("near_defender_2", "the second nearest other defender", 2, lambda throw: throw.defense),
    *_near("near_receiver_1", "the nearest other receiver", 1, lambda throw: throw.other_receivers),
    *_near("near_receiver_2", "the second nearest other receiver", 2, lambda throw: throw.other_receivers),
)
"""Motion up to the throw."""
