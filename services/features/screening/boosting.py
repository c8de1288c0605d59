"""LightGBM over folds split by game, on all cores, stopped within a tree.

It is imported when something is fitted: that takes longer than all else that a service starts with.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import lightgbm as lgb

Floats = NDArray[np.float64]
Rows = NDArray[np.bool_]
T = TypeVar("T")
R = TypeVar("R")

TREES = 300
PARAMETERS = {
    "objective": "regression",
    "learning_rate": 0.06,
    "num_leaves": 15,
    "min_data_in_leaf": 40,
    "max_bin": 63,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
_CHUNK = 256
"""Rows explained at a time; a call that was stopped ends after one chunk."""


class Stopped(Exception):
    """The screening was stopped."""


@dataclass(frozen=True)
class Workers:
    """Threads that fit; LightGBM computes outside of Python's lock.

    Attributes:
        seed: of the models and of shuffling; the same seed gives the same numbers at any number of threads.
        n_threads: how many models are fitted at a time.
        stop: set to stop everything.
    """

    seed: int
    n_threads: int
    stop: threading.Event = field(default_factory=threading.Event)

    def map(self, work: Callable[[T], R], tasks: Sequence[T]) -> list[R]:
        """The results of tasks, in order.

        Raises:
            Stopped: it was stopped.
        """
        with ThreadPoolExecutor(self.n_threads) as pool:
            return list(pool.map(work, tasks))

    def check(self) -> None:
        """Raise `Stopped` if it was stopped."""
        if self.stop.is_set():
            raise Stopped

    def fit(self, values: NDArray[np.float32], target: Floats) -> lgb.Booster:
        """A model of a target (n_rows,) from values (n_rows, n_columns)."""
        import lightgbm as lgb

        parameters = PARAMETERS | {"seed": self.seed % 2**31}
        data = lgb.Dataset(values, target, params=parameters)
        return lgb.train(parameters, data, TREES, callbacks=[lambda _: self.check()])

    def predict(self, model: lgb.Booster, values: NDArray[np.float32]) -> Floats:
        """The model's answers, (n_rows,)."""
        self.check()
        return np.asarray(model.predict(values, num_threads=1))

    def explain(self, model: lgb.Booster, values: NDArray[np.float32]) -> Floats:
        """SHAP values: what each column adds to each answer, (n_rows, n_columns)."""
        parts = []
        for start in range(0, len(values), _CHUNK):
            self.check()
            parts.append(np.asarray(model.predict(values[start : start + _CHUNK], pred_contrib=True, num_threads=1)))
        return np.concatenate(parts)[:, :-1]

    def out_of_fold(self, values: NDArray[np.float32], targets: Floats, folds: Sequence[Rows]) -> Floats:
        """Answers (n_rows, n_targets) of models that have not seen the row's game."""
        answers = np.empty(targets.shape)

        def answer(task: tuple[int, Rows]) -> None:
            column, held_out = task
            model = self.fit(values[~held_out], targets[~held_out, column])
            answers[held_out, column] = self.predict(model, values[held_out])

        self.map(answer, [(column, fold) for fold in folds for column in range(targets.shape[1])])
        return answers


def split_by_game(game: NDArray[np.str_], n_folds: int, seed: int) -> list[Rows]:
    """The held-out rows (n_rows,) of each fold; no game is in two."""
    games = np.random.default_rng(seed).permutation(np.unique(game))
    return [np.isin(game, games[fold::n_folds]) for fold in range(min(n_folds, len(games)))]


def rmse(displacement: Floats, predicted: Floats) -> float:
    """Root mean squared distance, yards."""
    return float(np.sqrt(((displacement - predicted) ** 2).sum(axis=1).mean()))
