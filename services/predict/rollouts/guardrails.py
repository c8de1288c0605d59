"""Guardrails: what a candidate must keep to, and what the evidence so far says of it."""

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from services.predict.rollouts import drift, sequential
from services.predict.rollouts.sequential import Interval
from services.predict.rollouts.tally import Tally, latency_limit


class Kind(StrEnum):
    """What a guardrail watches, and so what its limit is a limit of."""

    ERROR_RATE = "error-rate"
    """Share of calls failed or over the time budget, less the stable arm's share."""
    NON_FINITE = "non-finite"
    """Share of calls answered with NaN or infinity, less the stable arm's share."""
    SUPERHUMAN = "superhuman"
    """Share of calls answered with a step that no human makes, less the stable arm's share."""
    LATENCY = "latency"
    """99th percentile of the latency, as a multiple of the stable arm's."""
    DRIFT = "drift"
    """Population stability index of the input that drifted most from the training data."""
    ADE = "ade"
    """Average displacement error on the same plays: how much larger than the stable arm's, as a share of it."""
    TS = "ts"
    """Mean trajectory score on the same plays, less the stable arm's, yards a step."""
    LOSS = "loss"
    """Mean loss of forecasts on the same plays, less the stable arm's: log loss of outcomes, CRPS of yards."""


class Verdict(StrEnum):
    """What the evidence says so far."""

    PASS = "pass"  # noqa: S105
    """The limit is kept, whatever else may come."""
    FAIL = "fail"
    """The limit is broken."""
    UNDECIDED = "undecided"
    """Both are still possible."""


class Guardrail(BaseModel):
    """A limit that a candidate must keep to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Annotated[Kind, Field(description="What is watched.")]
    limit: Annotated[float, Field(ge=0, description="Largest value that is still good enough, in the kind's own unit.")]
    min_plays: Annotated[
        int,
        Field(
            ge=2,
            description="Plays before ade, ts, loss and drift are decided; the other kinds are exact from the first.",
        ),
    ] = 50


class Reading(BaseModel):
    """What the evidence says of one guardrail.

    Attributes:
        kind: of the guardrail.
        limit: of the guardrail.
        estimate: best guess of the value that is limited; None while there is none.
        lower: least value that the evidence allows; None where it sets no bound.
        upper: largest value that it allows; None where it sets no bound.
        n: calls, or judged plays, of the candidate that it rests on.
        verdict: FAIL where `lower` is above the limit, PASS where `upper` is not.
        text: the reading in plain words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    limit: float
    estimate: float | None
    lower: float | None
    upper: float | None
    n: int
    verdict: Verdict
    text: str


def read(
    guardrails: Sequence[Guardrail], alpha: float, stable: Tally, candidate: Tally, training: Tally | None = None
) -> tuple[Reading, ...]:
    """What the evidence says of each guardrail, however often it is looked at.

    Args:
        guardrails: all of the rollout.
        alpha: chance that, over the whole rollout, any verdict about this candidate is wrong. It is shared out evenly
            over the guardrails. With several candidates, give each its share of the rollout's alpha.
        stable: what was counted of the stable arm.
        candidate: what was counted of the candidate.
        training: counts of the inputs the candidate was trained on; None where its plugin brings none: then drift is
            told against the stable arm's.
    """
    share = alpha / len(guardrails) if guardrails else alpha
    return tuple(_read(guardrail, share, stable, candidate, training or stable) for guardrail in guardrails)


def _read(guardrail: Guardrail, alpha: float, stable: Tally, candidate: Tally, inputs_of: Tally) -> Reading:
    enough = guardrail.min_plays
    match guardrail.kind:
        case Kind.ERROR_RATE:
            interval = _excess_share(stable.errors, stable.calls, candidate.errors, candidate.calls, alpha)
            n, enough = candidate.calls, 0
        case Kind.NON_FINITE:
            interval = _excess_share(stable.non_finite, stable.calls, candidate.non_finite, candidate.calls, alpha)
            n, enough = candidate.calls, 0
        case Kind.SUPERHUMAN:
            interval = _excess_share(stable.superhuman, stable.calls, candidate.superhuman, candidate.calls, alpha)
            n, enough = candidate.calls, 0
        case Kind.LATENCY:
            interval = _latency_ratio(stable, candidate, alpha)
            n, enough = sum(candidate.latency.values()), 0
        case Kind.DRIFT:
            interval, n = drift.worst(inputs_of.inputs, candidate.inputs, alpha)
        case Kind.ADE:
            interval, n = sequential.excess(candidate.ade, alpha), candidate.ade.n
        case Kind.TS:
            interval, n = sequential.difference(candidate.ts, alpha), candidate.ts.n
        case Kind.LOSS:
            interval, n = sequential.difference(candidate.loss, alpha), candidate.loss.n
    if n < enough:
        verdict = Verdict.UNDECIDED
    elif interval.lower > guardrail.limit:
        verdict = Verdict.FAIL
    else:
        verdict = Verdict.PASS if interval.upper <= guardrail.limit else Verdict.UNDECIDED
    estimate, lower, upper = (value if math.isfinite(value) else None for value in interval)
    return Reading(
        kind=guardrail.kind,
        limit=guardrail.limit,
        estimate=estimate,
        lower=lower,
        upper=upper,
        n=n,
        verdict=verdict,
        text=_text(guardrail, interval, n, enough, verdict),
    )


def _excess_share(stable: int, stable_calls: int, candidate: int, candidate_calls: int, alpha: float) -> Interval:
    """The candidate's share less the stable arm's; alpha is for both intervals together."""
    own = sequential.share(candidate, candidate_calls, alpha / 2)
    other = sequential.share(stable, stable_calls, alpha / 2)
    return Interval(own.estimate - other.estimate, own.lower - other.upper, own.upper - other.lower)


def _latency_ratio(stable: Tally, candidate: Tally, alpha: float) -> Interval:
    """The candidate's 99th percentile as a multiple of the stable arm's; alpha is for both intervals together."""
    own, other = (
        sequential.quantile(0.99, {latency_limit(bucket): n for bucket, n in arm.latency.items()}, alpha / 2)
        for arm in (candidate, stable)
    )
    return Interval(
        own.estimate / other.estimate,
        own.lower / other.upper,
        own.upper / other.lower if other.lower else math.inf,
    )


def _text(guardrail: Guardrail, interval: Interval, n: int, enough: int, verdict: Verdict) -> str:
    what, form, counted = _WORDS[guardrail.kind]
    if n < max(enough, 1):
        return f"{what}: {n} of {max(enough, 1)} {counted}"
    estimate, lower, upper = (form.format(value) if math.isfinite(value) else "?" for value in interval)
    return (
        f"{what}: {estimate}, between {lower} and {upper} after {n:,} {counted}; limit {form.format(guardrail.limit)}: "
        f"{verdict}"
    )


_WORDS = {
    Kind.ERROR_RATE: ("failed calls, above the stable arm's share", "{:.2%}", "calls"),
    Kind.NON_FINITE: ("answers with NaN or infinity, above the stable arm's share", "{:.2%}", "calls"),
    Kind.SUPERHUMAN: ("answers with a superhuman step, above the stable arm's share", "{:.2%}", "calls"),
    Kind.LATENCY: ("99th percentile of the latency, times the stable arm's", "{:.2f}", "calls"),
    Kind.DRIFT: ("population stability index of the most drifted input", "{:.3f}", "calls"),
    Kind.ADE: ("average displacement error, above the stable arm's", "{:.1%}", "judged plays"),
    Kind.TS: ("trajectory score in yards a step, above the stable arm's", "{:.4f}", "judged plays"),
    Kind.LOSS: ("loss of forecasts, above the stable arm's", "{:.4f}", "judged plays"),
}
