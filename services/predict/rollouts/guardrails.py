"""Guardrails: what a candidate must keep to, and what the evidence so far says of it."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from services.predict.rollouts.tally import Tally


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
            ge=2, description="Plays before ade, ts and drift are decided; the other kinds are exact from the first."
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
        training: counts of the inputs the candidate was trained on; None where its plugin brings none.
    """
    raise NotImplementedError
