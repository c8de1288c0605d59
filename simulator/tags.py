"""What the tags report of true motion."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from ghostback.play import Samples
from simulator.motion import length, unit
from simulator.playbook import ELIGIBLE, OFFENSE
from simulator.values import RATE, Floats

POSITION_NOISE = 0.042
"""Standard deviation of each coordinate, yards: 99.9% of samples lie within six inches."""
_VELOCITY_NOISE = 0.25  # yards per second
_FILTERED = 0.3  # share of it in reported accelerations
_POSITION_MEMORY, _VELOCITY_MEMORY, _TURNING = 0.985, 0.85, 0.7  # shares kept from frame to frame


def report(
    position: Floats, velocity: Floats, noise: NDArray[np.float32], direction: int, tag_ids: NDArray[np.uint64]
) -> Samples:
    """Samples of a play, ordered by frame (counted from 1), then by tag as given.

    A report looks back only, never ahead: positions carry slowly drifting noise, motion is
    measured with noise of its own, and values have two decimals.

    Args:
        position: (n_frames, 23, 2) yards in the play's own coordinates, the ball last.
        velocity: (n_frames, 23, 2) yards per second.
        noise: (at least n_frames, 23, 4) standard normal.
        direction: +1 when the offense moves toward +x, else -1.
        tag_ids: (23,) the tags.
    """
    n = len(position)
    measured = np.round(position + POSITION_NOISE * _drift(noise[:n, :, :2], _POSITION_MEMORY), 2)
    error = _VELOCITY_NOISE * _drift(noise[:n, :, 2:], _VELOCITY_MEMORY)
    moving, filtered = velocity + error, velocity + _FILTERED * error
    change = np.diff(filtered, axis=0, prepend=filtered[:1])
    speed = length(moving)
    distance = length(np.diff(measured, axis=0, prepend=measured[:1]))
    distance[0] = speed[0] / RATE
    orientation, heading = _degrees(_facing(position, velocity, direction)), _degrees(moving)
    orientation[:, -1] = heading[:, -1] = np.nan
    return Samples.from_columns(
        {
            "tag_id": np.tile(tag_ids, n),
            "frame": np.repeat(np.arange(1, n + 1), len(tag_ids)),
            "x": measured[..., 0].ravel(),
            "y": measured[..., 1].ravel(),
            "speed": np.round(speed, 2).ravel(),
            "acceleration": np.round(RATE * length(change), 2).ravel(),
            "distance": np.round(distance, 2).ravel(),
            "orientation": orientation.ravel(),
            "direction": heading.ravel(),
        }
    )


def _drift(noise: NDArray[np.float32], memory: float) -> Floats:
    """Noise of unit variance along the first axis of which each frame keeps a share."""
    fresh = np.sqrt(1.0 - memory**2)
    shocks = fresh * noise
    shocks[0] = noise[0]
    drift: Floats = lfilter([1.0], [1.0, -memory], shocks, axis=0)
    return drift


def _facing(position: Floats, velocity: Floats, direction: int) -> Floats:
    """(n_frames, 23, 2) where chests point: downfield or at the ball when slow, ahead when running."""
    look = unit(position[:, -1:] - position)
    look[:, OFFENSE] = (direction, 0.0)
    runs = np.clip((length(velocity) - 3.0) / 3.0, 0.0, 1.0)
    runs[:, ELIGIBLE] = np.clip(length(velocity[:, ELIGIBLE]) / 2.0, 0.0, 1.0)
    wanted = (1.0 - runs)[..., None] * look + runs[..., None] * unit(velocity)
    start = _TURNING * wanted[:1]
    return np.asarray(lfilter([1.0 - _TURNING], [1.0, -_TURNING], wanted, axis=0, zi=start)[0])


def _degrees(vectors: Floats) -> Floats:
    """Angles of vectors, 0 along +y and clockwise, two decimals."""
    return np.asarray(np.round(np.degrees(np.arctan2(vectors[..., 0], vectors[..., 1])), 2) % 360.0)
