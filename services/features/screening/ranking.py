"""How much each candidate matters: by gain, by permutation, by SHAP."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from services.features.screening.boosting import Floats, Rows, Workers
from services.features.screening.table import Table

Task = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Importance of candidates on games a model has not seen, over both coordinates.

    Attributes:
        gain: (n_candidates,) squared error taken away by their splits in training, as shares of all.
        permutation: (n_candidates,) mean squared error added when their values are shuffled, yd^2.
        z: (n_candidates,) how many standard errors that is above 0; plays are independent, their rows are not.
        shap: (n_candidates,) mean magnitude of what they add to an answer, yards.
    """

    gain: Floats
    permutation: Floats
    z: Floats
    shap: Floats

    @property
    def rank(self) -> Floats:
        """(n_candidates,) mean of the three ranks; 1 is best."""
        from scipy.stats import rankdata

        importances = (self.gain, self.permutation, self.shap)
        rank: Floats = np.mean([rankdata(-importance) for importance in importances], axis=0)
        return rank

    @property
    def carries(self) -> NDArray[np.bool_]:
        """(n_candidates,) whether shuffling a candidate adds error beyond chance: one-sided, 5%."""
        carries: NDArray[np.bool_] = self.z > NormalDist().inv_cdf(0.95)
        return carries


def rank(
    table: Table, columns: NDArray[np.intp], folds: Sequence[Rows], workers: Workers, report: Callable[[int, int], None]
) -> Ranking:
    """Fit both coordinates of every fold with some columns of a table, and see what matters."""
    values, displacement = table.values[:, columns], table.displacement
    gain, shap = np.zeros(len(columns)), np.zeros(len(columns))
    added = np.zeros((len(table), len(columns)))
    tasks = [(fold, axis) for fold in range(len(folds)) for axis in range(2)]
    done = count(1)

    def of_fold(task: Task) -> tuple[Floats, Floats, Floats]:
        fold, axis = task
        held_out = folds[fold]
        model = workers.fit(values[~held_out], displacement[~held_out, axis])
        seen, truth = values[held_out], displacement[held_out, axis]
        error = (truth - workers.predict(model, seen)) ** 2
        rng = np.random.default_rng([workers.seed, *task])
        shuffling = np.zeros((len(seen), len(columns)))
        gains = model.feature_importance("gain")
        for column in np.flatnonzero(gains):
            shuffled = seen.copy()
            rng.shuffle(shuffled[:, column])
            shuffling[:, column] = (truth - workers.predict(model, shuffled)) ** 2 - error
        explained = np.abs(workers.explain(model, seen)).mean(axis=0)
        report(next(done), len(tasks))
        return gains, shuffling, explained

    for (fold, _), (gains, shuffling, explained) in zip(tasks, workers.map(of_fold, tasks), strict=True):
        gain += gains
        added[folds[fold]] += shuffling
        shap += explained / len(folds)
    _, play = np.unique(table.play, return_inverse=True)
    by_play = np.zeros((play.max() + 1, len(columns)))
    np.add.at(by_play, play, added)
    z = by_play.sum(axis=0) / np.maximum(np.sqrt((by_play**2).sum(axis=0)), 1e-12)
    return Ranking(gain / max(gain.sum(), 1e-12), added.mean(axis=0), z, shap)


def twins(values: NDArray[np.float32], order: NDArray[np.intp], limit: float) -> dict[int, int]:
    """Going down the ranking, the columns that say the same as a better one that stays: column to that one.

    Two say the same when the magnitude of Spearman's rank correlation is above the limit.

    Args:
        values: (n_rows, n_columns).
        order: columns, the best first.
        limit: such as 0.95.
    """
    from scipy.stats import rankdata

    filled = np.where(np.isnan(values), np.nanmedian(values, axis=0), values)
    ranks = rankdata(filled, axis=0)
    correlation = np.abs(np.corrcoef(ranks, rowvar=False))
    found: dict[int, int] = {}
    kept: list[int] = []
    for column in order.tolist():
        alike = [better for better in kept if correlation[column, better] > limit]
        if alike:
            found[column] = max(alike, key=lambda better: correlation[column, better])
        else:
            kept.append(column)
    return found
