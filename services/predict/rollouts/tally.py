"""What is counted of an arm: sums that replicas add up, and that every guardrail reads its evidence from."""

import math
from collections import Counter
from collections.abc import Mapping
from operator import add
from typing import Self

from pydantic import BaseModel, ConfigDict

BUCKETS_AN_OCTAVE = 8
"""A latency bucket ends 2^(1/8) times later than the one before: 9% apart."""


class Sums(BaseModel):
    """Sums that can be added and held as JSON; every field counts from nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Pairs(Sums):
    """One quantity of a candidate and of the stable arm on the same plays: sums of its first and second powers.

    Attributes:
        n: number of plays.
        candidate: sum of the candidate's values.
        stable: sum of the stable arm's.
        candidate_squared: sum of the candidate's squared.
        product: sum of the products of both.
        stable_squared: sum of the stable arm's squared.
    """

    n: int = 0
    candidate: float = 0.0
    stable: float = 0.0
    candidate_squared: float = 0.0
    product: float = 0.0
    stable_squared: float = 0.0

    @classmethod
    def of_play(cls, candidate: float, stable: float) -> Self:
        """One play."""
        return cls(
            n=1,
            candidate=candidate,
            stable=stable,
            candidate_squared=candidate**2,
            product=candidate * stable,
            stable_squared=stable**2,
        )

    def __add__(self, other: Self) -> Self:
        """Both together."""
        if not other.n:
            return self
        return self.model_construct(**{name: value + getattr(other, name) for name, value in self})


_NONE = Pairs()


class Tally(Sums):
    """What was counted of one arm.

    Attributes:
        calls: calls that the arm was asked to answer.
        errors: those it failed or for which it exceeded its time budget.
        non_finite: those it answered with NaN or infinity.
        superhuman: those it answered with a step that no human makes.
        latency: finished calls by `latency_bucket`.
        inputs: calls by bin of each input, as `drift.histograms` gives them.
        ade: average displacement error on judged plays, yards, beside the stable arm's; empty for the stable arm.
        ts: mean trajectory score on judged plays, yards a step, likewise.
        loss: loss of forecasts on judged plays, likewise.
    """

    calls: int = 0
    errors: int = 0
    non_finite: int = 0
    superhuman: int = 0
    latency: dict[int, int] = {}
    inputs: dict[str, tuple[float, ...]] = {}
    ade: Pairs = _NONE
    ts: Pairs = _NONE
    loss: Pairs = _NONE

    @classmethod
    def of_call(
        cls,
        seconds: float | None,
        *,
        error: bool = False,
        non_finite: bool = False,
        superhuman: bool = False,
        inputs: Mapping[str, tuple[float, ...]] | None = None,
    ) -> Self:
        """One call.

        Args:
            seconds: how long it took; None where it did not finish.
            error: whether it failed or exceeded its time budget.
            non_finite: whether its answer held NaN or infinity.
            superhuman: whether its answer held a step that no human makes.
            inputs: what the model was given, as `drift.histograms` gives it.
        """
        return cls.model_construct(
            calls=1,
            errors=int(error),
            non_finite=int(non_finite),
            superhuman=int(superhuman),
            latency={} if seconds is None else {latency_bucket(seconds): 1},
            inputs=dict(inputs or {}),
            ade=_NONE,
            ts=_NONE,
            loss=_NONE,
        )

    def __add__(self, other: Self) -> Self:
        """Both together: of two replicas, or of earlier and later."""
        return self.model_construct(
            calls=self.calls + other.calls,
            errors=self.errors + other.errors,
            non_finite=self.non_finite + other.non_finite,
            superhuman=self.superhuman + other.superhuman,
            latency=dict(Counter(self.latency) + Counter(other.latency)),
            inputs={
                name: tuple(map(add, self.inputs[name], other.inputs[name]))
                if name in self.inputs and name in other.inputs
                else self.inputs.get(name) or other.inputs[name]
                for name in self.inputs | other.inputs
            },
            ade=self.ade + other.ade,
            ts=self.ts + other.ts,
            loss=self.loss + other.loss,
        )


def latency_bucket(seconds: float) -> int:
    """The bucket of a latency: the smallest with `latency_limit` of at least that many seconds."""
    return math.ceil(BUCKETS_AN_OCTAVE * math.log2(max(seconds, 1e-6)))


def latency_limit(bucket: int) -> float:
    """Longest latency of a bucket, seconds."""
    return float(2.0 ** (bucket / BUCKETS_AN_OCTAVE))
