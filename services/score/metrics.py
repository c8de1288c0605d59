"""The trajectory score and what is made of it. Lower is better.

Source: Cheong, Zeng, Tyagi, "Prediction of Defensive Player Trajectories in NFL Games with Defender
CNN-LSTM Model", MIT Sloan Sports Analytics Conference 2021, and the Amazon Science article on Next
Gen Stats. What they leave open is fixed by a profile (`services/score/profiles.py`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.score.profiles import Diverging, MeasuredTo, ScoreProfile

Float = NDArray[np.float64]

LEAST_DIVISOR = 0.1
"""Where a profile divides by DR, a smaller DR counts as this."""


@dataclass(frozen=True, slots=True)
class TrajectoryScores:
    """Scores of the trajectories of one play against one target.

    Attributes:
        score: (n_defenders,) TS.
        positional_convergence: (n_defenders,) PS, yards per step.
        distance_ratio: (n_defenders,) DR.
        superhuman_steps: (n_defenders,) SP.
        initial_distance: (n_defenders,) d_0, yards.
    """

    score: Float
    positional_convergence: Float
    distance_ratio: Float
    superhuman_steps: NDArray[np.int64]
    initial_distance: Float


def distances(paths: Float, receiver: Float, profile: ScoreProfile) -> Float:
    """d_t: distance from defender to target at each step, yards: (n_defenders, n_steps + 1).

    Args:
        paths: (n_defenders, n_steps + 1, 2) yards.
        receiver: (n_steps + 1, 2) yards, or one for each path (n_defenders, n_steps + 1, 2).
        profile: says whether the target is the receiver as he moves, or where he is at arrival.
    """
    target = receiver[..., -1:, :] if profile.measured_to is MeasuredTo.CATCH_POINT else receiver
    distance: Float = np.linalg.norm(paths - target, axis=-1)
    return distance


def positional_convergence(distance: Float, profile: ScoreProfile) -> Float:
    """PS = sum_t w_t (d_t - d_(t-1)) / sum_t w_t, yards per step; negative closes: (n_defenders,).

    Args:
        distance: (n_defenders, n_steps + 1) yards.
        profile: says how much the steps weigh and what one counts for at most.
    """
    steps = np.diff(distance, axis=-1).clip(-profile.closing_limit, profile.closing_limit)
    weights = (np.arange(1, steps.shape[-1] + 1) / steps.shape[-1]) ** profile.lateness
    return np.average(steps, axis=-1, weights=weights)


def distance_ratio(paths: Float, receiver: Float, step_limit: float) -> Float:
    """DR = 1 - |opt - act| / (opt + act), 1 for the best effort: (n_defenders,).

    act is the length of the path covered; opt = min(|defender_0 - receiver_T|, T x step_limit). A
    defender who had nowhere to go and stayed has 1.

    Args:
        paths: (n_defenders, n_steps + 1, 2) yards.
        receiver: (n_steps + 1, 2) yards, or one for each path.
        step_limit: longest step a human makes, yards.
    """
    actual = np.linalg.norm(np.diff(paths, axis=1), axis=-1).sum(axis=-1)
    reachable = (paths.shape[1] - 1) * step_limit
    optimal = np.minimum(np.linalg.norm(paths[:, 0] - receiver[..., -1, :], axis=-1), reachable)
    total = optimal + actual
    ratio: Float = 1 - np.divide(np.abs(optimal - actual), total, out=np.zeros_like(total), where=total > 0)
    return ratio


def superhuman_steps(paths: Float, step_limit: float) -> NDArray[np.int64]:
    """SP: number of steps longer than a human makes: (n_defenders,)."""
    steps = np.linalg.norm(np.diff(paths, axis=1), axis=-1)
    count: NDArray[np.int64] = (steps > step_limit).sum(axis=-1)
    return count


def score_trajectories(paths: Float, receiver: Float, profile: ScoreProfile) -> TrajectoryScores:
    """TS = PS x DR where PS <= 0, PS and DR as the profile says where PS > 0, plus penalty x SP.

    Args:
        paths: (n_defenders, n_steps + 1, 2) yards, from pass forward to arrival.
        receiver: (n_steps + 1, 2) yards, or one for each path.
        profile: the reading of the score.
    """
    convergence = positional_convergence(distances(paths, receiver, profile), profile)
    ratio = distance_ratio(paths, receiver, profile.step_limit)
    superhuman = superhuman_steps(paths, profile.step_limit)
    return TrajectoryScores(
        score=convergence * _effort(convergence, ratio**profile.effort, profile.diverging)
        + profile.penalty * superhuman,
        positional_convergence=convergence,
        distance_ratio=ratio,
        superhuman_steps=superhuman,
        initial_distance=np.linalg.norm(paths[:, 0] - receiver[..., 0, :], axis=-1),
    )


def _effort(convergence: Float, ratio: Float, diverging: Diverging) -> Float:
    """What PS is multiplied by: (n_defenders,)."""
    outrun = {
        Diverging.MULTIPLY: ratio,
        Diverging.COMPLEMENT: 2 - ratio,
        Diverging.DIVIDE: 1 / np.maximum(ratio, LEAST_DIVISOR),
    }
    return np.where(convergence <= 0, ratio, outrun[diverging])


def nearness(scores: TrajectoryScores, profile: ScoreProfile) -> Float:
    """exp(-d_0 / radius), what a trajectory weighs in the play score: (n_defenders,)."""
    weights: Float = np.exp(-scores.initial_distance / profile.radius)
    return weights


def play_score(scores: TrajectoryScores, profile: ScoreProfile) -> float:
    """Mean of TS weighted by nearness: those near the target at pass forward count most."""
    return float(np.average(scores.score, weights=nearness(scores, profile)))
