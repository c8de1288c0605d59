"""The simulation of rollouts decides as the guardrails do, and the figures of the docs hold in small."""

from itertools import accumulate
from operator import add

import numpy as np
import pytest

from benchmarks import rollouts
from services.predict.rollouts import guardrails
from services.predict.rollouts.guardrails import Guardrail, Kind, Verdict
from services.predict.rollouts.tally import Pairs, Tally

ALPHA, LIMIT, MIN_PLAYS = 0.05, 0.02, 20


@pytest.fixture(scope="module")
def errors() -> np.ndarray:
    random = np.random.default_rng(1)
    stable = random.lognormal(sigma=0.7, size=500)
    return np.stack([stable * random.normal(1, 0.2, 500), stable], axis=1)


def test_a_simulated_rollout_is_rolled_back_at_the_play_at_which_the_guardrail_fails(errors: np.ndarray) -> None:
    worse, plays, runs = rollouts.scaled(errors, 0.1), 300, 3
    looks = rollouts.Looks(plays, MIN_PLAYS, ALPHA)
    found = looks.first_failures(worse, LIMIT, runs, np.random.default_rng(5))["sequence"]
    rail = Guardrail(kind=Kind.ADE, limit=LIMIT, min_plays=MIN_PLAYS)
    for first, drawn in zip(found, np.random.default_rng(5).integers(len(worse), size=(runs, plays)), strict=True):
        each = (Tally(ade=Pairs.of_play(*worse[i].tolist())) for i in drawn)
        verdicts = [guardrails.read([rail], ALPHA, Tally(), tally)[0].verdict for tally in accumulate(each, add)]
        assert next((i + 1 for i, verdict in enumerate(verdicts) if verdict is Verdict.FAIL), np.inf) == first
    assert np.isfinite(found).any()


def test_watched_after_every_play_an_equal_candidate_is_rolled_back_no_more_often_than_alpha(
    errors: np.ndarray,
) -> None:
    looks = rollouts.Looks(2000, MIN_PLAYS, ALPHA)
    equal = looks.first_failures(rollouts.scaled(errors, 0), 0.0, 1000, np.random.default_rng(2))
    rates = {test: np.isfinite(first).mean() for test, first in equal.items()}
    assert rates["sequence"] <= ALPHA
    assert rates["t-test"] > 3 * ALPHA


def test_a_much_worse_candidate_is_caught_within_a_hundred_plays(errors: np.ndarray) -> None:
    looks = rollouts.Looks(2000, MIN_PLAYS, ALPHA)
    first = looks.first_failures(rollouts.scaled(errors, 0.2), 0.0, 200, np.random.default_rng(3))["sequence"]
    assert np.quantile(first, 0.9) < 100
