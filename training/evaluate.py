"""How good a model is, on games it never saw."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.score import metrics, profiles
from training.scenes import Float, Scenes

STEPS = 10
"""Steps that errors are given for one by one."""
_QUANTILES = (0.5, 0.9)


@dataclass(frozen=True)
class Trajectories:
    """What a model says of the defensive backs of scenes, beside what they did; one row for each of them.

    Attributes:
        predicted: (n, 40, 2) yards from where each was at the release.
        covariance: (n, 40, 3) square yards, None where the model does not tell.
        went: (n, 40, 2) yards.
        anchor: (n, 2) yards.
        receiver: (n, 41, 2) yards, where the receiver really was from the release on.
        steps: (n,) steps that count.
        scene: (n,) number of the scene.
    """

    predicted: Float
    covariance: Float | None
    went: Float
    anchor: Float
    receiver: Float
    steps: NDArray[np.int64]
    scene: NDArray[np.int64]

    @classmethod
    def of(cls, scenes: Scenes, displacement: Float, covariance: Float | None) -> "Trajectories":
        """The trajectories that count among those of all slots: (n_scenes, n_slots, 40, ...)."""
        size = displacement.shape[1]
        scene, slot = np.nonzero(scenes.counts[:, :size, 0])
        return cls(
            displacement[scene, slot],
            None if covariance is None else covariance[scene, slot],
            scenes.displacement[scene, slot],
            scenes.players[scene, slot, -1, :2],
            scenes.caught_by[scene],
            scenes.counts[scene, slot].sum(axis=-1),
            scene,
        )

    @property
    def counts(self) -> NDArray[np.bool_]:
        """(n, 40) which steps count."""
        steps: NDArray[np.bool_] = np.arange(1, self.went.shape[1] + 1) <= self.steps[:, None]
        return steps

    @property
    def misses(self) -> Float:
        """(n, 40) yards from where each was to where he was said to be."""
        distances: Float = np.linalg.norm(self.predicted - self.went, axis=-1)
        return distances


def report(scenes: Scenes, displacement: Float, covariance: Float | None) -> dict[str, object]:
    """Everything that is told of a model: on actual targets and on what-ifs, and the players' own score.

    Args:
        scenes: n scenes.
        displacement: (n, n_slots, 40, 2) yards that the model says of the first slots.
        covariance: (n, n_slots, 40, 3) square yards, None where it does not tell.
    """
    parts: dict[str, object] = {}
    for kind, chosen in (("actual", ~scenes.what_if), ("what_if", scenes.what_if)):
        own = None if covariance is None else covariance[chosen]
        parts[kind] = errors(Trajectories.of(scenes.take(chosen), displacement[chosen], own)) if chosen.any() else None
    truth = Trajectories.of(scenes.take(~scenes.what_if), displacement[~scenes.what_if], None)
    return parts | {"ts_actual": score(truth.went, truth)}


def errors(trajectories: Trajectories) -> dict[str, object]:
    """Errors of a model, yards; its score, yards a step; and how well it knows what it does not know."""
    misses, counts = trajectories.misses, trajectories.counts
    last = trajectories.steps - 1
    rows = np.arange(len(last))
    quartiles = np.quantile(trajectories.steps, (0.25, 0.5, 0.75))
    quarter = np.searchsorted(quartiles, trajectories.steps)
    return {
        "trajectories": len(last),
        "rmse": [float(np.sqrt((misses[counts[:, i], i] ** 2).mean())) for i in range(STEPS)],
        "rmse_all": float(np.sqrt((misses[counts] ** 2).mean())),
        "ade": float(misses[counts].mean()),
        "ade_ten": float(misses[:, :STEPS][counts[:, :STEPS]].mean()),
        "fde": float(misses[rows, last].mean()),
        "ade_by_air_time": [float(misses[quarter == q][counts[quarter == q]].mean()) for q in range(4)],
        "nearest_defender": nearest_defender(trajectories),
        "ts": score(trajectories.predicted, trajectories),
        "superhuman_steps": superhuman_steps(trajectories),
        "calibration": calibration(trajectories),
    }


def nearest_defender(trajectories: Trajectories) -> float:
    """Mean absolute error of the distance from the receiver to the nearest defensive back at arrival, yards."""
    last = trajectories.steps - 1
    rows = np.arange(len(last))
    there = trajectories.receiver[rows, trajectories.steps] - trajectories.anchor
    firsts = np.flatnonzero(np.diff(trajectories.scene, prepend=-1))
    nearest = [
        np.minimum.reduceat(np.linalg.norm(moved[rows, last] - there, axis=-1), firsts)
        for moved in (trajectories.predicted, trajectories.went)
    ]
    return float(np.abs(nearest[0] - nearest[1]).mean())


def score(displacement: Float, trajectories: Trajectories) -> float:
    """Mean trajectory score of displacements (n, 40, 2) under the default profile."""
    total = 0.0
    for steps in np.unique(trajectories.steps):
        chosen = trajectories.steps == steps
        anchor = trajectories.anchor[chosen, None].astype(np.float64)
        paths = np.concatenate([anchor, anchor + displacement[chosen, :steps]], axis=1)
        receiver = trajectories.receiver[chosen, : steps + 1].astype(np.float64)
        total += metrics.score_trajectories(paths, receiver, profiles.DEFAULT).score.sum()
    return float(total / len(trajectories.steps))


def superhuman_steps(trajectories: Trajectories) -> int:
    """Number of predicted steps longer than a human makes, those that count."""
    moves = np.linalg.norm(np.diff(trajectories.predicted, axis=1, prepend=0), axis=-1)
    return int((moves[trajectories.counts] > profiles.DEFAULT.step_limit + 1e-3).sum())


def squared_deviations(miss: Float, covariance: Float) -> Float:
    """Squared Mahalanobis distances (...) of misses (..., 2) under covariances (..., 3)."""
    x, y = np.moveaxis(miss, -1, 0)
    xx, xy, yy = np.moveaxis(covariance, -1, 0)
    squared: Float = (yy * x**2 - 2 * xy * x * y + xx * y**2) / (xx * yy - xy**2)
    return squared


def calibration(trajectories: Trajectories) -> dict[str, float] | None:
    """Share of places that lie within the ellipses that should hold 50% and 90% of them."""
    if trajectories.covariance is None:
        return None
    counts = trajectories.counts
    squared = squared_deviations((trajectories.went - trajectories.predicted)[counts], trajectories.covariance[counts])
    return {f"{q:.0%}": float((squared <= -2 * np.log(1 - q)).mean()) for q in _QUANTILES}
