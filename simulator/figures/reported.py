"""What reported velocities are made of: some feeds average over motion that is still to come."""

from collections.abc import Iterable

import numpy as np

from ghostback.play import Play
from ghostback.tracks import resample
from simulator.values import Floats

REACH = 12
"""Frames on either side of a sample over which its velocity may be an average."""
STEPS = (2, 5, 10)
"""Steps of 0.1 s after the throw at which departures are looked at."""
_RATE, _OVER = 10, 2  # steps per second; steps over which acceleration is seen
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


def told_by_acceleration(plays: Iterable[Play]) -> dict[str, Floats]:
    """What the acceleration seen at the throw tells of where defensive backs leave constant velocity.

    Returns:
        For velocities from `positions`, which look back only, and for `reported` ones: (3, 2) the coefficient,
        seconds squared, and the share of the squared departure that it explains, after each of `STEPS`.
    """
    seen: dict[str, list[tuple[Floats, Floats]]] = {"positions": [], "reported": []}
    for play in plays:
        thrown = play.forward_pass
        if not thrown:
            continue
        tracks = resample(play, -_OVER / _RATE, STEPS[-1] / _RATE, _RATE)
        last = (thrown.arrived_frame - thrown.forward_frame) / play.sample_rate * _RATE
        for back in play.defensive_backs():
            if back.participant_id not in tracks:
                continue
            row = tracks.row(back.participant_id)
            own = play.samples.take(np.isin(play.samples.tag_id, np.array(back.tag_ids, np.uint64)))
            angle = np.radians(own.direction)
            at = np.searchsorted(own.frame, thrown.forward_frame)
            reported = (own.speed * np.stack([np.sin(angle), np.cos(angle)])).T[[at - _OVER, at]]
            moved = tracks.position[row, _OVER:] - tracks.position[row, _OVER]
            moved[round(last) + 1 :] = np.nan
            for kind, velocity in (("positions", tracks.velocity[row, [0, _OVER]]), ("reported", reported)):
                seconds = np.array(STEPS)[:, None] / _RATE
                left = moved[list(STEPS)] - velocity[1] * seconds
                seen[kind].append((np.broadcast_to((velocity[1] - velocity[0]) * _RATE / _OVER, left.shape), left))
    return {kind: _regressed(*map(np.stack, zip(*pairs, strict=True))) for kind, pairs in seen.items()}


def _regressed(acceleration: Floats, left: Floats) -> Floats:
    """Coefficients and shares explained (n_steps, 2) of departures (n, n_steps, 2) through the origin."""
    weight = np.isfinite(left) & np.isfinite(acceleration)
    a, d = np.where(weight, acceleration, 0), np.where(weight, left, 0)
    coefficient = (a * d).sum(axis=(0, 2)) / (a**2).sum(axis=(0, 2))
    rest = ((d - coefficient[:, None] * a) ** 2).sum(axis=(0, 2))
    return np.stack([coefficient, 1 - rest / (d**2).sum(axis=(0, 2))], axis=-1)
