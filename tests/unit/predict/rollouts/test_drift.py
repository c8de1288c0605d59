"""Drift is told from what models are given, and from nothing else."""

import math
from operator import add

import numpy as np
import pytest
from numpy.typing import NDArray

from services.predict.rollouts import drift

ALPHA = 0.05
Histograms = dict[str, tuple[float, ...]]


def of_calls(values: NDArray[np.float64]) -> Histograms:
    """Histograms of calls with one value each."""
    total: Histograms = {"tensor": (0.0,) * drift.BINS}
    for value in values:
        counts = drift.histograms({"tensor": np.array([[value]], np.float32)})
        total["tensor"] = tuple(map(add, total["tensor"], counts["tensor"]))
    return total


def test_a_call_counts_as_one_for_each_entry_however_many_players_it_tells_of() -> None:
    players = np.random.default_rng(1).normal(0, 5, (3, 22, 5, 6)).astype(np.float32)
    counts = np.reshape(drift.histograms({"players": players})["players"], (6, drift.BINS))
    np.testing.assert_allclose(counts.sum(axis=1), 1)


def test_what_is_not_finite_or_huge_has_a_bin_too() -> None:
    strange = np.array([[np.nan], [np.inf], [1e30], [-np.inf]], np.float32)
    counts = drift.histograms({"ball": strange})["ball"]
    assert (counts[0], counts[-1]) == (0.25, 0.75)


def test_the_index_of_two_samples_is_that_of_the_textbook() -> None:
    reference, candidate = (5000.0, 3000.0, 2000.0), (3000.0, 3000.0, 4000.0)
    expected = -0.2 * math.log(0.3 / 0.5) + 0.2 * math.log(0.4 / 0.2)
    found = drift.stability_index(reference, candidate, ALPHA)
    assert found.estimate == pytest.approx(expected, rel=0.01)
    assert found.lower < expected < found.upper


def test_watched_after_every_ten_calls_the_same_inputs_do_not_drift() -> None:
    random = np.random.default_rng(2)
    reference = of_calls(random.normal(0, 5, 2000))
    for _ in range(20):
        candidate: Histograms = {"tensor": (0.0,) * drift.BINS}
        for _ in range(30):
            more = of_calls(random.normal(0, 5, 10))
            candidate["tensor"] = tuple(map(add, candidate["tensor"], more["tensor"]))
            interval, n = drift.worst(reference, candidate, ALPHA)
            assert n < 50 or interval.lower < 0.1


def test_inputs_in_another_unit_drift() -> None:
    random = np.random.default_rng(3)
    reference, metres = of_calls(random.normal(60, 20, 2000)), of_calls(random.normal(60, 20, 300) * 0.3)
    interval, n = drift.worst(reference, metres, ALPHA)
    assert (n, interval.lower > 0.25) == (300, True)


def test_models_that_take_nothing_in_common_cannot_be_compared() -> None:
    interval, n = drift.worst({"players": (1.0,) * drift.BINS}, {"defender": (1.0,) * drift.BINS}, ALPHA)
    assert (n, interval.lower, interval.upper) == (0, 0, math.inf)
