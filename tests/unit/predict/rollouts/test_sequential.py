"""Intervals hold the truth at every look at once, and tell worse from equal."""

import math
from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.predict.rollouts import sequential
from services.predict.rollouts.sequential import Interval
from services.predict.rollouts.tally import Pairs

ALPHA = 0.1
RUNS, TRIALS = 400, 400
Values = list[tuple[float, float]]
plays = st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=3, max_size=30)


def pairs(values: Values) -> Pairs:
    return reduce(add, (Pairs.of_play(*each) for each in values), Pairs())


def width(interval: Interval) -> float:
    return interval.upper - interval.lower


@pytest.mark.parametrize("chance", [0.01, 0.3])
def test_watched_after_every_call_a_share_leaves_its_interval_no_more_often_than_alpha(chance: float) -> None:
    successes = (np.random.default_rng(1).random((RUNS, TRIALS)) < chance).cumsum(axis=1)
    bounds = {
        (k, n): sequential.share(int(k), n, ALPHA) for n in range(1, TRIALS + 1) for k in np.unique(successes[:, n - 1])
    }
    left = [
        any(not bounds[k, n + 1].lower <= chance <= bounds[k, n + 1].upper for n, k in enumerate(run))
        for run in successes
    ]
    assert 0 < np.mean(left) <= ALPHA


def test_watched_after_every_call_the_99th_percentile_leaves_its_interval_no_more_often_than_alpha() -> None:
    latency = np.random.default_rng(2).exponential(size=(150, TRIALS))
    truth = -math.log(0.01)
    left = 0
    for run in latency:
        counts: dict[float, int] = {}
        inside = True
        for seconds in np.ceil(8 * run) / 8:
            counts[seconds] = counts.get(seconds, 0) + 1
            found = sequential.quantile(0.99, counts, ALPHA)
            inside &= found.lower <= truth <= found.upper
        left += not inside
    assert left / 150 <= ALPHA


def test_a_share_that_was_never_seen_is_bounded_by_the_number_of_calls() -> None:
    assert sequential.share(0, 0, 0.05) == pytest.approx((math.nan, 0, 1), nan_ok=True)
    assert sequential.share(0, 100, 0.05).lower == 0
    assert sequential.share(100, 100, 0.05).upper == 1
    assert sequential.share(0, 100, 0.05).upper == pytest.approx(1 - sequential.share(100, 100, 0.05).lower)
    assert sequential.share(0, 1000, 0.05).upper < 0.2 * sequential.share(0, 100, 0.05).upper


@given(st.integers(1, 5000), st.integers(0, 5000))
def test_a_share_lies_within_its_interval_and_smaller_alpha_widens_it(n: int, successes: int) -> None:
    assume(successes <= n)
    sure, surer = sequential.share(successes, n, 0.05), sequential.share(successes, n, 0.001)
    assert 0 <= surer.lower <= sure.lower <= sure.estimate <= sure.upper <= surer.upper <= 1


@given(plays, st.floats(1.5, 5))
def test_wider_differences_make_a_wider_interval(values: Values, factor: float) -> None:
    centre = np.mean([candidate - stable for candidate, stable in values])
    assume(np.std([candidate - stable for candidate, stable in values]) > 1e-3)
    wider = [(stable + centre + factor * (candidate - stable - centre), stable) for candidate, stable in values]
    narrow, wide = (sequential.difference(pairs(each), ALPHA) for each in (values, wider))
    assert wide.estimate == pytest.approx(narrow.estimate, abs=1e-9)
    assert width(wide) == pytest.approx(factor * width(narrow), rel=1e-5)


@given(st.lists(st.tuples(st.floats(0.8, 1.2), st.floats(1, 2)), min_size=40, max_size=60), st.floats(0.1, 10))
def test_the_excess_does_not_depend_on_the_unit(ratios: Values, factor: float) -> None:
    values = [(ratio * stable, stable) for ratio, stable in ratios]
    scaled = [(factor * candidate, factor * stable) for candidate, stable in values]
    one, other = (sequential.excess(pairs(each), ALPHA) for each in (values, scaled))
    assert math.isfinite(width(one))
    assert other == pytest.approx(one, rel=1e-5, abs=1e-5)


def test_the_excess_is_that_of_the_means_and_narrow_where_the_arms_agree_on_hard_plays() -> None:
    random = np.random.default_rng(3)
    stable = random.lognormal(size=500)
    together = stable * random.normal(1.2, 0.05, 500)
    apart = random.permutation(together)
    paired, unpaired = (
        sequential.excess(pairs(list(zip(each.tolist(), stable.tolist(), strict=True))), ALPHA)
        for each in (together, apart)
    )
    assert paired.estimate == pytest.approx(unpaired.estimate) == pytest.approx(together.mean() / stable.mean() - 1)
    assert 0.15 < paired.lower < 0.2 < paired.upper < 0.25
    assert width(unpaired) > 10 * width(paired)
