"""Each guardrail fails what is worse than its limit, passes what is not, and waits while it cannot know."""

from collections import Counter
from functools import reduce
from operator import add

import numpy as np
import pytest

from services.predict.rollouts import drift, guardrails
from services.predict.rollouts.guardrails import Guardrail, Kind, Reading, Verdict
from services.predict.rollouts.tally import Pairs, Tally, latency_bucket

ALPHA = 0.05


def calls(n: int, bad: int = 0, seconds: float = 0.01, of: str = "error", shift: float = 0.0) -> Tally:
    random = np.random.default_rng(n)
    each = [
        Tally.of_call(
            seconds * float(random.uniform(0.5, 1)),
            inputs=drift.histograms({"ball": random.normal(shift, 1, (1, 3)).astype(np.float32)}),
            **{of: i < bad},  # type: ignore[arg-type]
        )
        for i in range(n)
    ]
    return reduce(add, each, Tally())


def judged(n: int, worse_by: float) -> Tally:
    random = np.random.default_rng(n)
    each = [
        Tally(
            ade=Pairs.of_play((1 + worse_by) * stable * float(random.uniform(0.9, 1.1)), stable),
            ts=(worse := Pairs.of_play(worse_by + float(random.normal(0, 0.05)), 0.0)),
            loss=worse,
        )
        for stable in random.lognormal(size=n).tolist()
    ]
    return reduce(add, each, Tally())


def reading(kind: Kind, limit: float, stable: Tally, candidate: Tally, min_plays: int = 50) -> Reading:
    rail = Guardrail(kind=kind, limit=limit, min_plays=min_plays)
    (found,) = guardrails.read([rail], ALPHA, stable, candidate)
    return found


@pytest.mark.parametrize(
    ("kind", "limit", "good", "bad", "few"),
    [
        (Kind.ERROR_RATE, 0.05, calls(1000, 5), calls(100, 20), calls(5)),
        (Kind.NON_FINITE, 0.05, calls(1000, 5, of="non_finite"), calls(100, 20, of="non_finite"), calls(5)),
        (Kind.SUPERHUMAN, 0.05, calls(1000, 5, of="superhuman"), calls(100, 20, of="superhuman"), calls(5)),
        (Kind.LATENCY, 1.5, calls(4000), calls(200, seconds=0.1), calls(5)),
        (Kind.DRIFT, 0.25, calls(1000), calls(200, shift=2), calls(5)),
        (Kind.ADE, 0.05, judged(1000, 0), judged(1000, 0.2), judged(5, 0.2)),
        (Kind.TS, 0.05, judged(1000, 0), judged(1000, 0.2), judged(5, 0.2)),
        (Kind.LOSS, 0.05, judged(1000, 0), judged(1000, 0.2), judged(5, 0.2)),
    ],
)
def test_a_guardrail_passes_fails_or_waits(kind: Kind, limit: float, good: Tally, bad: Tally, few: Tally) -> None:
    stable = calls(3000, 5)
    verdicts = [reading(kind, limit, stable, candidate).verdict for candidate in (good, bad, few, Tally())]
    assert verdicts == [Verdict.PASS, Verdict.FAIL, Verdict.UNDECIDED, Verdict.UNDECIDED]


def test_a_candidate_that_fails_every_call_is_found_out_within_ten_calls() -> None:
    assert reading(Kind.ERROR_RATE, 0.05, calls(1000), calls(10, 10)).verdict is Verdict.FAIL


def test_a_candidate_is_not_to_blame_for_what_befalls_both_arms() -> None:
    assert reading(Kind.ERROR_RATE, 0.02, calls(500, 250), calls(500, 250)).verdict is Verdict.UNDECIDED


def test_quality_waits_for_its_plays() -> None:
    found = reading(Kind.ADE, 0.05, Tally(), judged(99, 1.0), min_plays=100)
    assert found.verdict is Verdict.UNDECIDED
    assert found.text == "average displacement error, above the stable arm's: 99 of 100 judged plays"
    assert reading(Kind.ADE, 0.05, Tally(), judged(100, 1.0), min_plays=100).verdict is Verdict.FAIL


def test_drift_is_told_against_the_training_data_where_there_are_counts_of_it() -> None:
    rail = Guardrail(kind=Kind.DRIFT, limit=0.25)
    stable, candidate = calls(1000, shift=2), calls(300, shift=2)
    assert guardrails.read([rail], ALPHA, stable, candidate)[0].verdict is Verdict.PASS
    assert guardrails.read([rail], ALPHA, stable, candidate, calls(2000))[0].verdict is Verdict.FAIL


def test_guardrails_share_alpha_so_that_more_of_them_wait_longer() -> None:
    candidate = judged(300, 0.06)
    alone = guardrails.read([Guardrail(kind=Kind.ADE, limit=0.05)], ALPHA, Tally(), candidate)[0]
    among = guardrails.read([Guardrail(kind=kind, limit=0.05) for kind in Kind], ALPHA, Tally(), candidate)
    found = next(each for each in among if each.kind is Kind.ADE)
    assert found.lower is not None
    assert alone.lower is not None
    assert found.estimate == alone.estimate
    assert found.lower < alone.lower


def pairs(candidate: np.ndarray, stable: np.ndarray) -> Pairs:
    return Pairs(
        n=len(stable),
        candidate=candidate.sum(),
        stable=stable.sum(),
        candidate_squared=candidate @ candidate,
        product=candidate @ stable,
        stable_squared=stable @ stable,
    )


def block(random: np.random.Generator, n: int) -> Tally:
    """Calls and judged plays of an arm like any other, counted together; stable's errors on plays are 1 on average."""
    bad = random.random((3, n)) < [[0.02], [0.01], [0.2]]
    errors, scores = random.lognormal(-0.125, 0.5, (2, n)), random.normal(0, 1, (2, n))
    shares = drift.histograms({"ball": random.normal(0, 3, (n, 3)).astype(np.float32)})["ball"]
    return Tally(
        calls=n,
        errors=bad[0].sum(),
        non_finite=bad[1].sum(),
        superhuman=bad[2].sum(),
        latency=Counter(map(latency_bucket, random.lognormal(-4, 0.5, n).tolist())),
        inputs={"ball": tuple(n * share for share in shares)},
        ade=pairs(*errors),
        ts=pairs(*scores),
    )


def test_a_rollout_of_an_equal_candidate_is_rolled_back_by_any_of_its_guardrails_no_more_often_than_alpha() -> None:
    """Every limit is where an equal candidate stands, but for drift, whose index is never below 0."""
    limits = dict.fromkeys(Kind, 0.0) | {Kind.LATENCY: 1.0, Kind.DRIFT: 0.1}
    rails = [Guardrail(kind=kind, limit=limit) for kind, limit in limits.items()]
    rollouts, rolled_back = 100, 0
    for seed in range(rollouts):
        random = np.random.default_rng(seed)
        stable = candidate = Tally()
        verdicts = set()
        for _ in range(10):
            stable, candidate = stable + block(random, 50), candidate + block(random, 50)
            verdicts |= {each.verdict for each in guardrails.read(rails, ALPHA, stable, candidate)}
        rolled_back += Verdict.FAIL in verdicts
    assert rolled_back <= ALPHA * rollouts


def test_a_reading_says_in_words_what_it_rests_on_and_comes_back_from_json() -> None:
    found = reading(Kind.ERROR_RATE, 0.05, calls(1000), calls(100, 20))
    assert found.text == (
        "failed calls, above the stable arm's share: 20.00%, between 7.83% and 36.18% after 100 calls; "
        "limit 5.00%: fail"
    )
    for each in (found, reading(Kind.LATENCY, 1.5, Tally(), calls(5))):
        assert Reading.model_validate_json(each.model_dump_json()) == each
