"""What reported velocities are made of: some feeds average over motion that is still to come."""

from collections.abc import Iterable

import numpy as np

from ghostback.play import Play
from simulator.values import Floats

REACH = 12
"""Frames on either side of a sample over which its velocity may be an average."""
_MOVES_ABOVE = 1.5  # yards per second below which a direction means little


def velocity_weights(plays: Iterable[Play]) -> Floats:
    """Weights (24,) of the changes of position in the 12 frames before and the 12 after a sample in its velocity.

    A least-squares fit over all samples of players who move and have no gap so near.
    """
    changes, velocities = [], []
    for play in plays:
        players = [tag for p in play.participants if p is not play.ball for tag in p.tag_ids]
        for tag in players:
            own = play.samples.take(play.samples.tag_id == tag)
            moved = np.diff(np.c_[own.x, own.y], axis=0) * play.sample_rate
            if len(moved) < 2 * REACH or (np.diff(own.frame) != 1).any():
                continue
            angle = np.radians(own.direction)
            velocity = (own.speed * np.stack([np.sin(angle), np.cos(angle)])).T[REACH:-REACH]
            around = np.lib.stride_tricks.sliding_window_view(moved, 2 * REACH, axis=0)
            usable = (own.speed[REACH:-REACH] > _MOVES_ABOVE) & np.isfinite(velocity).all(axis=1)
            usable &= np.isfinite(around).all(axis=(1, 2))
            changes.append(around[usable].reshape(-1, 2 * REACH))
            velocities.append(velocity[usable].ravel())
    weights: Floats = np.linalg.lstsq(np.concatenate(changes), np.concatenate(velocities))[0]
    return weights
