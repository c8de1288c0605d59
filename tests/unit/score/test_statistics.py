"""AUC and bootstrap intervals."""

import numpy as np
import pytest

from benchmarks.score import statistics


def test_auc_counts_pairs_in_the_right_order_and_ties_half() -> None:
    score, positive = np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True])
    assert statistics.auc(score, positive) == pytest.approx((1 + 0.5 + 1 + 1) / 4)
    assert statistics.auc(-score, positive) == pytest.approx(1 - 3.5 / 4)
    assert np.isnan(statistics.auc(score, np.ones(4, bool)))


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for trial in range(200):
        values = random.normal(5.0, 2.0, 60)
        low, high = statistics.interval(lambda rows, v=values: np.array([v[rows].mean()]), np.arange(60), 200, trial)
        covered += int(low[0] <= 5.0 <= high[0])
    assert 0.88 <= covered / 200 <= 0.99


def test_intervals_widen_when_rows_of_a_cluster_are_alike() -> None:
    random = np.random.default_rng(2)
    values, cluster = np.repeat(random.normal(0, 1, 30), 10), np.repeat(np.arange(30), 10)
    alone = statistics.interval(lambda rows: np.array([values[rows].mean()]), np.arange(300), 300)
    together = statistics.interval(lambda rows: np.array([values[rows].mean()]), cluster, 300)
    assert np.ptp(together) > 2 * np.ptp(alone)


def test_the_same_seed_gives_the_same_interval() -> None:
    values, cluster = np.arange(40.0), np.arange(40) // 4
    made = [statistics.interval(lambda rows: values[rows].mean(keepdims=True), cluster, 50, seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(made[0], made[1])
    assert (made[0] != made[2]).any()
