"""How well a score separates and orders, and how sure that is."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]


def auc(score: Floats, positive: NDArray[np.bool_]) -> float:
    """Chance that a positive has a higher score than a negative, ties counting half; NaN where either is missing."""
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return float("nan")
    return float((rankdata(score)[positive].sum() - n * (n + 1) / 2) / (n * m))


def interval(statistic: Callable[[Rows], Floats], cluster: Rows, resamples: int, seed: int = 1) -> Floats:
    """95% percentile bootstrap interval of statistics, whole clusters resampled: (2, n_statistics).

    Args:
        statistic: gives (n_statistics,) of some rows, which may repeat.
        cluster: (n_rows,) the cluster of each row, counted from 0.
        resamples: number of bootstrap samples.
        seed: of the resampling.
    """
    random = np.random.default_rng(seed)
    rows = np.split(np.argsort(cluster, kind="stable"), np.cumsum(np.bincount(cluster))[:-1])
    drawn = random.integers(len(rows), size=(resamples, len(rows)))
    values = [statistic(np.concatenate([rows[i] for i in each])) for each in drawn]
    bounds: Floats = np.nanpercentile(values, [2.5, 97.5], axis=0)
    return bounds
