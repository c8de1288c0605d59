"""The tensors of `yards-after-catch`: a row for each target, with what awaits him once he has the ball."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ghostback.play import FIELD_LENGTH, FIELD_WIDTH, ParticipantKind
from services.features import measurements
from services.features.measurements import Ghosts, Going, defenders_at, line_of_scrimmage
from services.features.moment import Moment, Points
from services.features.targets import Target, run_on

GOAL_LINE = FIELD_LENGTH - 10.0
"""Where the end zone begins, yards, when the offense moves toward +x."""
_NEAREST = 3
_WITHIN = (5.0, 10.0, 20.0)
_BLOCKERS_WITHIN = 10.0
_NOBODY = 60.0
"""Yards to someone who is not there, and the most that is told."""


@dataclass(frozen=True, slots=True)
class GoingAll(Going):
    """Where the defenders go without ghosts, and the offense.

    Attributes:
        offense: (n_steps, 2) yards, by participant; of those with samples at the pass.
    """

    offense: Mapping[str, Points]


def going(moment: Moment) -> GoingAll:
    """Where everyone of a moment goes."""
    defense, position = measurements.going(moment), moment.tracks.position
    rows = {
        p.participant_id: moment.tracks.row(p.participant_id)
        for p in moment.play.participants
        if p.kind is ParticipantKind.PLAYER
        and p.team_id == moment.play.offense_team
        and p.participant_id in moment.tracks
    }
    offense = {name: run_on(moment.tracks, row)[0] for name, row in rows.items() if np.isfinite(position[row, 0, 0])}
    return GoingAll(defense.place, defense.velocity, offense)


def tensors(moment: Moment, going: GoingAll, ghosts: Ghosts) -> dict[str, Points]:
    """Measurements (n_targets, 19), as the feature set names them.

    Args:
        moment: the pass.
        going: where everyone goes without ghosts.
        ghosts: of defenders.

    Raises:
        FailedPrecondition: the play does not tell the line of scrimmage.
    """
    return {"measurements": np.array([_at_arrival(moment, target, going, ghosts) for target in moment.targets])}


def _at_arrival(moment: Moment, target: Target, going: GoingAll, ghosts: Ghosts) -> list[float]:
    arrival = moment.feature_set.observed - 1 + target.air_steps
    ball, receiver = moment.turned(target.ball[arrival]), moment.turned(target.receiver[arrival])
    running = moment.direction * target.receiver_velocity[arrival - 1]
    line = moment.turned(np.array([line_of_scrimmage(moment), 0.0]))[0]
    caught_at = min(ball[0], GOAL_LINE)
    places, velocities = defenders_at(moment, target, going, ghosts)
    gaps = moment.turned(places.reshape(-1, 2)) - receiver
    closing = running - moment.direction * velocities.reshape(-1, 2)
    distance = np.linalg.norm(gaps, axis=1)
    ahead = gaps[:, 0] > 0
    nearest: list[float] = []
    for i in np.argsort(distance)[:_NEAREST]:
        speed = float(closing[i] @ gaps[i]) / max(float(distance[i]), 1e-6)
        nearest += [min(float(distance[i]), _NOBODY), float(gaps[i, 0]), speed]
    nearest += [_NOBODY, _NOBODY, 0.0] * (_NEAREST - len(distance))
    others = [path[arrival] for name, path in going.offense.items() if name != target.participant_id]
    blockers = moment.turned(np.array(others).reshape(-1, 2)) - receiver
    leading = (blockers[:, 0] > 0) & (np.linalg.norm(blockers, axis=1) < _BLOCKERS_WITHIN)
    return [
        float(caught_at - line),
        float(GOAL_LINE - ball[0]),
        float(min(ball[1], FIELD_WIDTH - ball[1])),
        float(running[0]),
        float(running[1] if ball[1] < FIELD_WIDTH / 2 else -running[1]),
        *nearest,
        float(distance[ahead].min(initial=_NOBODY)),
        *(float((ahead & (distance < near)).sum()) for near in _WITHIN),
        float(leading.sum()),
    ]
