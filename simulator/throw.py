"""The throw: where a pass to each receiver would come down, when, and to whom it goes."""

from dataclasses import dataclass

import numpy as np

from ghostback.play import FIELD_LENGTH, FIELD_WIDTH
from simulator import motion
from simulator.dropback import State, next_corner, routes
from simulator.motion import length
from simulator.playbook import DEFENSE, ELIGIBLE, N_ELIGIBLE, QUARTERBACK
from simulator.script import Scripts
from simulator.values import RATE, Floats, Ints

_LEAST_FLIGHT, _MOST_FLIGHT = 3, 38  # frames
_FIXED, _PER_YARD = 0.07, 0.044  # seconds
_ERROR = (0.25, 0.03)  # standard deviation of the landing spot, yards, and more for each yard thrown
_HURRIED = 1.5  # factor of the same under pressure


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


def air_time(distance: Floats) -> Floats:
    """Seconds a pass over a distance is in the air: a line fitted to the 33 passes of the half game."""
    return _FIXED + _PER_YARD * distance


def throws(scripts: Scripts, state: State) -> Throws:
    """Every pass the quarterback could make at the given state, `scripts.action` frames after the snap."""
    release = state.position[0, :, QUARTERBACK, None]
    paths = _futures(scripts, state)
    gaps = length(paths - release)
    seconds = np.arange(1, _MOST_FLIGHT + 1)[:, None, None] / RATE
    late = seconds + 0.5 / RATE < air_time(gaps) * scripts.lob[:, None]
    flight = np.clip(late.sum(0) + 1, _LEAST_FLIGHT, _MOST_FLIGHT)
    meeting = np.take_along_axis(paths, flight[None, ..., None] - 1, axis=0)[0]
    distance = length(meeting - release)
    fixed, more = _ERROR
    error = fixed + more * distance
    place = meeting + scripts.aim[:, None] * (error * np.where(scripts.hurried, _HURRIED, 1.0)[:, None])[..., None]
    place = np.clip(place, (1.5, 0.8), (FIELD_LENGTH - 1.2, FIELD_WIDTH - 0.8))

    drift = 0.6 * flight[..., None, None] / RATE
    defenders = state.position[0, :, None, DEFENSE] + drift * state.velocity[0, :, None, DEFENSE]
    open_by = np.minimum(length(defenders - meeting[:, :, None]).min(-1), 5.0)
    depth = meeting[..., 0] - scripts.line[:, None]
    first = np.arange(N_ELIGIBLE) == scripts.first_read[:, None]
    appeal = 0.16 * open_by + 0.02 * np.clip(depth, -3.0, 5.0) - 0.09 * np.maximum(distance - 15.0, 0.0) + 2.0 * first
    return Throws(place, flight, appeal + scripts.taste)


def _futures(scripts: Scripts, state: State) -> Floats:
    """The receivers' routes (_MOST_FLIGHT, n, 5, 2) run on from the next frame, were no ball thrown."""
    position, velocity = state.position[0, :, ELIGIBLE], state.velocity[0, :, ELIGIBLE]
    acceleration, corner = state.acceleration[:, ELIGIBLE], state.corner
    top_speed, burst = scripts.top_speed[:, ELIGIBLE], (scripts.vigour * scripts.burst)[:, ELIGIBLE]
    paths = []
    for frame in range(_MOST_FLIGHT):
        wish = routes(scripts, position, corner, (scripts.action + frame) / RATE)
        position, velocity, acceleration = motion.step(position, velocity, acceleration, wish, top_speed, burst)
        corner = next_corner(scripts, position, length(velocity), corner)
        paths.append(position)
    return np.array(paths)
