"""The throw: where a pass to each receiver would come down, when, and to whom it goes."""

from dataclasses import dataclass

import numpy as np

from ghostback.play import FIELD_LENGTH, FIELD_WIDTH
from simulator.dropback import State
from simulator.motion import length, unit
from simulator.playbook import DEFENSE, ELIGIBLE, N_CORNERS, QUARTERBACK
from simulator.script import RATE, Floats, Ints, Scripts

_LEAST_FLIGHT = 4  # frames


@dataclass(frozen=True, slots=True)
class Throws:
    """A pass to each of the five receivers of n plays.

    Attributes:
        place: (n, 5, 2) where the ball comes down, yards.
        flight: (n, 5) frames in the air.
        appeal: (n, 5) how much the quarterback would like to make it.
    """

    place: Floats
    flight: Ints
    appeal: Floats


def ball_speed(distance: Floats) -> Floats:
    """Mean horizontal speed of a pass over a distance: 17 yd/s at 10 yards, nearly 20 from 30 yards on."""
    return 20.0 - 8.0 * np.exp(-distance / 10.0)


def throws(scripts: Scripts, state: State) -> Throws:
    """Every pass the quarterback could make at the given state, `scripts.action` frames after the snap."""
    release = state.position[0, :, QUARTERBACK, None]
    receivers = state.position[0, :, ELIGIBLE]
    distance = length(receivers - release)
    for _ in range(4):
        meeting = _ahead(scripts, state, distance / ball_speed(distance))
        distance = length(meeting - release)
    flight = np.maximum(np.rint(RATE * distance / ball_speed(distance)), _LEAST_FLIGHT).astype(np.intp)
    place = meeting + scripts.aim[:, None] * (0.3 + 0.03 * distance[..., None])
    place = np.clip(place, (1.5, 0.8), (FIELD_LENGTH - 1.2, FIELD_WIDTH - 0.8))

    seconds = flight[..., None, None] / RATE
    defenders = state.position[0, :, None, DEFENSE] + 0.6 * seconds * state.velocity[0, :, None, DEFENSE]
    open_by = np.minimum(length(defenders - meeting[:, :, None]).min(-1), 6.0)
    depth = meeting[..., 0] - scripts.line[:, None]
    first = np.arange(receivers.shape[1]) == scripts.first_read[:, None]
    appeal = 0.55 * open_by + 0.10 * np.clip(depth, -3.0, 14.0) - 0.06 * np.maximum(distance - 22.0, 0.0) + first
    return Throws(place, flight, appeal + scripts.taste)


def _ahead(scripts: Scripts, state: State, seconds: Floats) -> Floats:
    """Where the receivers' routes bring them in the given seconds, (n, 5, 2)."""
    place = state.position[0, :, ELIGIBLE]
    pace = scripts.route_pace * scripts.top_speed[:, ELIGIBLE]
    left = (0.4 * length(state.velocity[0, :, ELIGIBLE]) + 0.55 * pace) * seconds
    for corner in range(N_CORNERS):
        away = scripts.corners[:, :, corner] - place
        gone = np.where(corner >= state.corner, np.minimum(left, length(away)), 0.0)
        place = place + gone[..., None] * unit(away)
        left = left - gone
    return place
