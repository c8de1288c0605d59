"""How well the trajectory score agrees with an expert, and a score profile fitted to the labels."""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from benchmarks.score import statistics
from benchmarks.score.labels import Label, Labelled
from benchmarks.score.statistics import Floats, Rows
from services.score.profiles import ScoreProfile

LATENESS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
EFFORT = (0.0, 0.5, 1.0, 1.5, 2.0)
"""What is tried when a profile is fitted."""
FOLDS = 5


@dataclass(frozen=True)
class Agreement:
    """How well a score agrees with an expert.

    Attributes:
        auc: chance that a questionable trajectory scores worse than a good one.
        tau: Kendall's tau-b of the score and how questionable the expert finds it.
        pairs: of two trajectories of the same defender and target, one good and one questionable, how often
            the questionable one scores worse; NaN without such pairs.
        intervals: (2, 3) 95% intervals of these.
    """

    auc: float
    tau: float
    pairs: float
    intervals: Floats


@dataclass(frozen=True)
class Fit:
    """A score profile fitted to labels.

    Attributes:
        profile: the reading that separates all labels best.
        held_out_auc: its AUC where each fold is scored by the profile that the other folds chose.
        before_auc: AUC of the profile it began with, on the same folds.
        chosen: lateness and effort that each fold's training part chose.
        by: what the folds divide.
    """

    profile: ScoreProfile
    held_out_auc: float
    before_auc: float
    chosen: list[tuple[float, float]]
    by: str


def agreement(labelled: Labelled, profile: ScoreProfile, resamples: int) -> Agreement:
    """How well a profile agrees with the labels."""
    score, questionable, grade = labelled.score(profile), labelled.questionable, labelled.grade
    good, bad = _pairs(labelled)
    worse = np.heaviside(score[bad] - score[good], 0.5)
    _, cluster = labelled.clusters

    def of_labels(rows: Rows) -> Floats:
        auc = statistics.auc(score[rows], questionable[rows])
        return np.array([auc, kendalltau(score[rows], grade[rows]).statistic])

    def of_pairs(rows: Rows) -> Floats:
        return np.array([worse[rows].mean()])

    auc, tau = of_labels(np.arange(len(score))).tolist()
    intervals = [statistics.interval(of_labels, cluster, resamples)]
    if len(worse):
        among = np.unique(cluster[good], return_inverse=True)[1]
        intervals.append(statistics.interval(of_pairs, among, resamples))
    else:
        intervals.append(np.full((2, 1), np.nan))
    return Agreement(auc, tau, float(worse.mean()) if len(worse) else float("nan"), np.hstack(intervals))


def fit(labelled: Labelled, profile: ScoreProfile) -> Fit | None:
    """The profile with the lateness and effort that agree best with the labels, cross-validated.

    Folds divide games where there are enough of them, else plays; None where there are too few labels
    to hold some out. Other constants stay: the labels say nothing of the penalty as long as no step in
    them is superhuman.
    """
    tried = [replace(profile, lateness=lateness, effort=effort) for lateness, effort in product(LATENESS, EFFORT)]
    before, scores = labelled.score(profile), [labelled.score(each) for each in tried]
    questionable = labelled.questionable
    by, cluster = labelled.clusters

    def best(rows: NDArray[np.bool_]) -> int:
        return int(np.argmax([statistics.auc(score[rows], questionable[rows]) for score in scores]))

    folds = [cluster % FOLDS == each for each in range(FOLDS)]
    folds = [test for test in folds if all(len(set(questionable[part].tolist())) == 2 for part in (test, ~test))]
    if not folds:
        return None
    chosen = [best(~test) for test in folds]

    def held_out(found: list[Floats]) -> float:
        aucs = [statistics.auc(score[test], questionable[test]) for score, test in zip(found, folds, strict=True)]
        return float(np.mean(aucs))

    return Fit(
        profile=tried[best(np.ones(len(questionable), np.bool_))],
        held_out_auc=held_out([scores[i] for i in chosen]),
        before_auc=held_out([before] * len(folds)),
        chosen=[(tried[i].lateness, tried[i].effort) for i in chosen],
        by=by,
    )


def disagreements(labelled: Labelled, profile: ScoreProfile, count: int) -> list[tuple[float, Label]]:
    """The good trajectories that score worst and the questionable ones that score best, with their scores."""
    score, questionable = labelled.score(profile), labelled.questionable
    order = np.argsort(score)
    chosen = [*order[~questionable[order]][::-1][:count], *order[questionable[order]][:count]]
    return [(float(score[i]), labelled.labels[i]) for i in chosen]


def _pairs(labelled: Labelled) -> tuple[Rows, Rows]:
    """Indices of the good and of the questionable label of each pair of the same defender and target."""
    order = np.argsort(labelled.row, kind="stable")
    row, questionable = labelled.row[order], labelled.questionable[order]
    good, bad = [], []
    for apart in range(1, int(np.bincount(row).max())):
        first = np.flatnonzero((row[apart:] == row[:-apart]) & (questionable[apart:] != questionable[:-apart]))
        swapped = questionable[first]
        good.append(np.where(swapped, first + apart, first))
        bad.append(np.where(swapped, first, first + apart))
    if not good:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    return order[np.concatenate(good)], order[np.concatenate(bad)]
