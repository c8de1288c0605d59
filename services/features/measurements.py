"""The tensors of `pass-outcome`: a row for each target, with what one would measure of a pass to him.

The first six factors are those that the NFL published with its completion probability in 2018, the others what
later public descriptions add.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ghostback.play import FIELD_WIDTH
from services.common.errors import FailedPrecondition
from services.features.moment import Moment, Points
from services.features.targets import Target, run_on

Ghosts = Mapping[tuple[str, str], Points]
"""By target and defender, where he goes: (n_steps + 1, 2) yards, from pass forward on."""

_STANDING = 0.2
"""Yards per second below which nobody goes anywhere."""


@dataclass(frozen=True, slots=True)
class Going:
    """Where the defenders go without ghosts: as they went, or where that is not known on at their last velocity.

    Attributes:
        place: (n_defenders, n_steps, 2) yards.
        velocity: (n_defenders, n_steps, 2) yards per second.
    """

    place: Points
    velocity: Points


def going(moment: Moment) -> Going:
    """Where the defenders of a moment go."""
    each = [run_on(moment.tracks, row) for row in moment.rows(moment.defender_ids)]
    shape = (len(each), len(moment.tracks.times), 2)
    place, velocity = (np.array([way[i] for way in each]).reshape(shape) for i in range(2))
    return Going(place, velocity)


def tensors(moment: Moment, going: Going, ghosts: Ghosts) -> dict[str, Points]:
    """Measurements (n_targets, 10) of a live feature set, (n_targets, 12) of a retrospective one.

    Args:
        moment: the pass.
        going: where defenders go without ghosts.
        ghosts: of defenders.

    Raises:
        FailedPrecondition: the play does not tell what is measured.
    """
    release = moment.feature_set.observed - 1
    passer = _passer(moment)
    place, velocity = moment.tracks.position[passer, release], moment.tracks.velocity[passer, release]
    defenders = moment.tracks.position[moment.rows(moment.defender_ids), release]
    if not len(defenders):
        raise FailedPrecondition(
            "TRACKS_INCOMPLETE", f"{moment.play.name} has samples of no defender at the pass", moment.play.name
        )
    thrown = [
        _time_to_throw(moment),
        float(np.linalg.norm(velocity)),
        float(np.linalg.norm(defenders - place, axis=1).min()),
    ]
    return {
        "measurements": np.array([thrown + _at_arrival(moment, target, going, ghosts) for target in moment.targets])
    }


def _at_arrival(moment: Moment, target: Target, going: Going, ghosts: Ghosts) -> list[float]:
    release = moment.feature_set.observed - 1
    arrival = release + target.air_steps
    ball, receiver = target.ball[arrival], target.receiver[arrival]
    running = target.receiver_velocity[arrival - 1]
    defenders, velocities = defenders_at(moment, target, going, ghosts)
    gaps = defenders - receiver
    nearest = int(np.linalg.norm(gaps, axis=1).argmin())
    gap, velocity = gaps[nearest], velocities[nearest]
    separation, speed = float(np.linalg.norm(gap)), float(np.linalg.norm(velocity))
    toward = -gap / max(separation, 1e-6)
    straight = np.clip(velocity @ toward / speed, -1, 1) if speed > _STANDING else 0.0
    measured = [
        float(np.linalg.norm(ball - target.ball[release])),
        float(moment.direction * (ball[0] - line_of_scrimmage(moment))),
        float(min(ball[1], FIELD_WIDTH - ball[1])),
        separation,
        float(np.linalg.norm(running)),
        float((velocity - running) @ toward),
        float(np.degrees(np.arccos(straight))),
    ]
    if moment.feature_set.setting == "retrospective":
        measured += [float(np.linalg.norm(ball - receiver)), float(np.linalg.norm(defenders - ball, axis=1).min())]
    return measured


def defenders_at(moment: Moment, target: Target, going: Going, ghosts: Ghosts) -> tuple[Points, Points]:
    """Where the defenders are at arrival, and their velocities: (n_defenders, 2) each."""
    arrival = moment.feature_set.observed - 1 + target.air_steps
    places, velocities = going.place[:, arrival].copy(), going.velocity[:, arrival].copy()
    for i, name in enumerate(moment.defender_ids):
        if (ghost := ghosts.get((target.participant_id, name))) is not None:
            last = min(target.air_steps, len(ghost) - 1)
            places[i] = ghost[last]
            velocities[i] = moment.feature_set.rate * (ghost[last] - ghost[last - 1])
    return places, velocities


def _passer(moment: Moment) -> int:
    """His row in the tracks."""
    name = moment.play.forward_pass.thrower_id if moment.play.forward_pass else ""
    if name in moment.tracks:
        row = moment.tracks.row(name)
        if np.isfinite(moment.tracks.position[row, moment.feature_set.observed - 1]).all():
            return row
    raise FailedPrecondition(
        "TRACKS_INCOMPLETE", f"{moment.play.name} has no samples of the thrower at the pass", moment.play.name
    )


def _time_to_throw(moment: Moment) -> float:
    """Seconds from the snap to the pass."""
    play = moment.play
    snap = next((event.frame for event in play.events if event.name == "ball_snap"), None)
    if snap is None or play.forward_pass is None:
        raise FailedPrecondition("SITUATION_UNKNOWN", f"{play.name} has no event ball_snap", play.name)
    return (play.forward_pass.forward_frame - snap) / play.sample_rate


def line_of_scrimmage(moment: Moment) -> float:
    """The line of scrimmage along the field, yards.

    Raises:
        FailedPrecondition: the play does not tell it.
    """
    line = moment.play.situation.line_of_scrimmage
    if not line:
        raise FailedPrecondition(
            "SITUATION_UNKNOWN", f"{moment.play.name} tells no line of scrimmage", moment.play.name
        )
    return line
