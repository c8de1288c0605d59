"""Every reading of what the published score leaves open, held against trajectories whose quality is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.stats import kendalltau

from benchmarks.score import statistics
from benchmarks.score.labels import NEAR, Labelled
from benchmarks.score.statistics import Floats, Rows
from benchmarks.score.trajectories import Trajectories
from services.score import metrics
from services.score.profiles import Diverging, MeasuredTo, ScoreProfile

LATENESS = {"equal": 0.0, "later": 1.0, "last step": np.inf}
"""How much the steps weigh."""
SIMULATED, REAL = "simulated", "real"
"""Where plays are from."""


@dataclass(frozen=True)
class Separation:
    """What a reading makes of players and of the same defenders run on from spoiled starts.

    Attributes:
        actual: mean TS of the players.
        spoiled: mean TS of the spoiled.
        auc: chance that a spoiled trajectory scores worse than a player's.
        interval: (2,) its 95% interval.
    """

    actual: float
    spoiled: float
    auc: float
    interval: Floats


@dataclass(frozen=True)
class Reading:
    """A reading and how it does.

    Attributes:
        weights: how much the steps weigh, in words.
        profile: the reading.
        separation: by where the plays are from.
        auc: agreement with the expert, AUC.
        interval: (2,) its 95% interval.
        tau: agreement with the expert, Kendall's tau.
        near_auc: AUC among defenders who were near the target at the pass.
        orders_efforts: whether plain efforts come in their order.
    """

    weights: str
    profile: ScoreProfile
    separation: Mapping[str, Separation]
    auc: float
    interval: Floats
    tau: float
    near_auc: float
    orders_efforts: bool

    @property
    def sound(self) -> bool:
        """Whether it orders plain efforts, and players close in on average as published: real ones where there are."""
        judged = self.separation.get(REAL) or self.separation[SIMULATED]
        return self.orders_efforts and judged.actual < 0

    @property
    def mean_auc(self) -> float:
        """Mean of the AUCs: spoiled trajectories of each source, and the expert's labels."""
        return float(np.mean([self.auc, *(each.auc for each in self.separation.values())]))


def compare(sources: Mapping[str, Trajectories], labelled: Labelled, resamples: int) -> list[Reading]:
    """Every reading, the best first: sound ones, then by mean AUC.

    Args:
        sources: trajectories with the subjects `actual` and `spoiled`, by where the plays are from: `SIMULATED`,
            and `REAL` where there are any.
        labelled: the expert's labels.
        resamples: bootstrap samples of each interval.
    """
    choices = list(product(MeasuredTo, LATENESS, Diverging))
    profiles = [ScoreProfile(to.name, 0, to, diverging, LATENESS[weights]) for to, weights, diverging in choices]
    separations = {name: _separations(each, profiles, resamples) for name, each in sources.items()}
    scores = np.array([labelled.score(profile) for profile in profiles])
    aucs, intervals = _aucs(scores, labelled.questionable, labelled.clusters[1], resamples)
    near = labelled.within(NEAR)
    readings = [
        Reading(
            weights,
            profiles[i],
            {name: each[i] for name, each in separations.items()},
            aucs[i],
            intervals[:, i],
            float(kendalltau(scores[i], labelled.grade).statistic),
            statistics.auc(near.score(profiles[i]), near.questionable),
            orders_efforts(profiles[i]),
        )
        for i, (_, weights, _) in enumerate(choices)
    ]
    return sorted(readings, key=lambda each: (not each.sound, -each.mean_auc))


def orders_efforts(profile: ScoreProfile) -> bool:
    """Whether plain efforts toward a receiver who stands 10 yards away come in their order, in 2 s.

    Arriving with the ball, and arriving early and waiting, must both score better than getting half
    the way, that better than staying, and that better than running away.
    """
    share = np.linspace(0, 1, 21)
    early, arriving, half, stays, away = np.minimum(2 * share, 1), share, share / 2, 0 * share, -share
    paths = 10 * np.stack([early, arriving, half, stays, away])[..., None] * (1, 0)
    early, arriving, *others = metrics.score_trajectories(paths, np.full((21, 2), (10.0, 0.0)), profile).score
    return bool(np.all(np.diff([max(early, arriving), *others]) > 1e-9))


def _separations(trajectories: Trajectories, profiles: list[ScoreProfile], resamples: int) -> list[Separation]:
    actual, spoiled = (
        np.array([trajectories.score(subject, profile).score for profile in profiles])
        for subject in ("actual", "spoiled")
    )
    _, cluster = trajectories.clusters
    worse = np.repeat([False, True], len(trajectories))
    aucs, intervals = _aucs(np.hstack([actual, spoiled]), worse, np.tile(cluster, 2), resamples)
    return [
        Separation(float(a.mean()), float(s.mean()), auc, interval)
        for a, s, auc, interval in zip(actual, spoiled, aucs, intervals.T, strict=True)
    ]


def _aucs(scores: Floats, worse: np.ndarray, cluster: Rows, resamples: int) -> tuple[list[float], Floats]:
    """AUC of each profile's scores (n_profiles, n), and their 95% intervals (2, n_profiles)."""

    def aucs(rows: Rows) -> Floats:
        return np.array([statistics.auc(score[rows], worse[rows]) for score in scores])

    return aucs(np.arange(len(worse))).tolist(), statistics.interval(aucs, cluster, resamples)
