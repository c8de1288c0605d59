"""How players move: they wish for a velocity and get what legs allow."""

import numpy as np

from simulator.values import RATE, Floats

STEP = 1.0 / RATE
"""Seconds a step lasts."""
MAX_ACCELERATION = 8.0
"""No player speeds up, brakes or turns harder, yards per second squared."""
_BRAKE = 0.85  # of the acceleration from standing
_LATERAL = 0.72  # of the same
_CURVE = 0.55  # share of the braking given up by whoever turns without wanting to be slower
_HIPS = 0.4  # share of all that is lost while the hips turn all the way round
_RESPONSE = 0.40  # seconds in which a wished change of velocity would be made
_CARRY = 0.5  # share of the last acceleration carried into the next step


def length(vectors: Floats) -> Floats:
    """Euclidean length along the last axis, which is dropped."""
    return np.sqrt(vectors[..., 0] ** 2 + vectors[..., 1] ** 2)


def unit(vectors: Floats) -> Floats:
    """Vectors of length one with the same heading; zero stays zero."""
    return vectors / np.maximum(length(vectors), 1e-9)[..., None]


def limited(vectors: Floats, most: Floats | float) -> Floats:
    """Vectors shortened to at most the given lengths."""
    return vectors * np.minimum(1.0, most / np.maximum(length(vectors), 1e-9))[..., None]


def arrive(position: Floats, place: Floats, speed: Floats | float) -> Floats:
    """Velocity that goes to a place and stops there."""
    away = place - position
    distance = length(away)
    return unit(away) * np.minimum(np.minimum(speed, np.sqrt(6.0 * distance)), 2.0 * distance)[..., None]


def step(
    position: Floats, velocity: Floats, acceleration: Floats, wish: Floats, top_speed: Floats, burst: Floats
) -> tuple[Floats, Floats, Floats]:
    """Positions, velocities and accelerations 0.1 s later.

    Speeding up gets harder with speed, turning is limited at speed, braking is stronger than
    speeding up, all is weaker while the hips turn, and a change of acceleration takes time.

    Args:
        position: (..., 2) yards.
        velocity: (..., 2) yards per second.
        acceleration: (..., 2) yards per second squared.
        wish: (..., 2) wished velocity.
        top_speed: (...) yards per second.
        burst: (...) acceleration from standing, yards per second squared.
    """
    speed = length(velocity)
    wanted = (limited(wish, top_speed) - velocity) / _RESPONSE
    heading = unit(velocity)
    turn = 0.5 - 0.5 * (unit(wish) * heading).sum(-1)
    strength = burst * (1.0 - _HIPS * turn * np.minimum(speed / 4.0, 1.0))
    along = (wanted * heading).sum(-1)
    across = wanted - along[..., None] * heading
    forward = strength * (1.0 - 0.4 * np.minimum(speed / top_speed, 1.0))
    curves = _CURVE * np.minimum(length(wish) / np.maximum(speed, 1e-9), 1.0)
    running = np.clip(along, -_BRAKE * (1.0 - curves) * strength, forward)[..., None] * heading + limited(
        across, _LATERAL * strength
    )
    standing = limited(wanted, burst)
    share = np.clip(speed - 0.5, 0.0, 1.0)[..., None]
    allowed = limited(share * running + (1.0 - share) * standing, MAX_ACCELERATION)
    after = limited(velocity + STEP * (_CARRY * acceleration + (1.0 - _CARRY) * allowed), top_speed)
    return position + 0.5 * STEP * (velocity + after), after, (after - velocity) / STEP
