"""Answers while a rollout divides the plays: a candidate's failure is stable's to mend, and is counted."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import structlog
from prometheus_client import Counter

from services.common import interceptor
from services.common.errors import DomainError, Unavailable
from services.common.upstream import remaining_seconds
from services.predict.golden import Tensors
from services.predict.registry import ModelVersion
from services.predict.rollouts import drift
from services.predict.rollouts.policy import STABLE
from services.predict.rollouts.tally import Tally
from services.predict.routing import Decision

_log = structlog.get_logger()
_ANSWERS = Counter(
    "ghostback_rollout_answers_total",
    "Calls to the arms of rollouts, by what came of them.",
    ["model", "arm", "outcome"],
)
_MIRRORED_AT_ONCE = 2
_MIRRORS_WAITING = 64
_PAUSE = 0.05
_LEFT_TO_TELL = 1.5
"""Seconds of the caller's time that are left to say that the model server is away, also to clients that ask again."""


class Answered(Protocol):
    """What an attempt gives."""

    @property
    def seconds(self) -> float | None:
        """How long the model took; None where it was not needed."""
        ...

    @property
    def inputs(self) -> Tensors:
        """What the model was given, by name (n_rows, ...)."""
        ...

    @property
    def superhuman(self) -> bool:
        """Whether a ghost makes a step that no human makes."""
        ...


A = TypeVar("A", bound=Answered)
Attempt = Callable[[ModelVersion], Awaitable[A]]


@dataclass(frozen=True, slots=True)
class _Mirrored(Generic[A]):
    decision: Decision
    arm: str
    version: ModelVersion
    attempt: Attempt[A]


class Answering(Generic[A]):
    """Asks the arm that was decided for, falls back to stable, mirrors to shadows, and counts."""

    def __init__(self, patience: float) -> None:
        """Start with nothing counted.

        Args:
            patience: seconds that a call waits for a model server that is away.
        """
        self._patience = patience
        self._counts: defaultdict[str, defaultdict[str, Tally]] = defaultdict(lambda: defaultdict(Tally))
        self._waiting: asyncio.Queue[_Mirrored[A]] = asyncio.Queue(_MIRRORS_WAITING)

    def counted(self, rollout: str) -> Mapping[str, Tally]:
        """What was counted of each arm of a rollout since this replica started."""
        return dict(self._counts[rollout]) if rollout in self._counts else {}

    def keep(self, rollouts: set[str]) -> None:
        """Forget what was counted of all other rollouts."""
        for name in self._counts.keys() - rollouts:
            del self._counts[name]

    async def answer(self, decision: Decision, attempt: Attempt[A]) -> tuple[str, A]:
        """The arm that answered, and its answer, which is to be concluded once it is out.

        Raises:
            DomainError: stable could not answer; whatever a candidate did is not told.
        """
        if decision.candidate is None:
            answered, _ = await self._patiently(decision.stable, attempt)
            return decision.arm, answered
        try:
            answered = await self._within_budget(decision, decision.candidate, attempt)
        except Exception as error:
            mended, waited = await self._patiently(decision.stable, attempt)
            if not waited:
                self._count_failure(decision, decision.arm, error)
            return STABLE, mended
        return decision.arm, answered

    def conclude(self, decision: Decision, arm: str, answered: A, attempt: Attempt[A]) -> None:
        """Count an answer, and have the decision's shadows asked some time; those without room are left out."""
        self._count(decision, arm, answered)
        for shadow, version in (decision.mirrors or {}).items():
            if self._waiting.full():
                _ANSWERS.labels(version.manifest.name, shadow, "left out").inc()
            else:
                self._waiting.put_nowait(_Mirrored(decision, shadow, version, attempt))

    async def ask_shadows(self) -> None:
        """Ask the shadows, a few at a time, without end."""
        await asyncio.gather(*(self._ask_shadows() for _ in range(_MIRRORED_AT_ONCE)))

    async def _ask_shadows(self) -> None:
        interceptor.deadline.set(None)
        while True:
            mirrored = await self._waiting.get()
            try:
                answered = await self._within_budget(mirrored.decision, mirrored.version, mirrored.attempt)
            except Exception as error:
                if await self._stable_can(mirrored):
                    self._count_failure(mirrored.decision, mirrored.arm, error)
            else:
                self._count(mirrored.decision, mirrored.arm, answered)

    async def _stable_can(self, mirrored: _Mirrored[A]) -> bool:
        """Whether stable answers what a shadow could not."""
        try:
            await self._within_budget(mirrored.decision, mirrored.decision.stable, mirrored.attempt)
        except Exception:
            return False
        return True

    async def _within_budget(self, decision: Decision, version: ModelVersion, attempt: Attempt[A]) -> A:
        """A candidate's answer; at least half of the caller's time is left to stable."""
        budget = decision.rollout.policy.answer_budget if decision.rollout else self._patience
        return await asyncio.wait_for(attempt(version), min(budget, remaining_seconds(2 * budget) / 2))

    async def _patiently(self, version: ModelVersion, attempt: Attempt[A]) -> tuple[A, bool]:
        """Stable's answer, waited for while the model server is away; and whether it was, for any other arm too."""
        waited = False
        until = time.monotonic() + min(self._patience, remaining_seconds(self._patience) - _LEFT_TO_TELL)
        while True:
            try:
                return await attempt(version), waited
            except Unavailable as error:
                if error.reason != "MODEL_SERVER_UNAVAILABLE" or time.monotonic() + _PAUSE > until:
                    raise
            waited = True
            await asyncio.sleep(_PAUSE)

    def _count(self, decision: Decision, arm: str, answered: A) -> None:
        if decision.rollout and answered.seconds is not None:
            inputs = drift.histograms(answered.inputs)
            tally = Tally.of_call(answered.seconds, superhuman=answered.superhuman, inputs=inputs)
            self._add(decision, arm, tally, "answered")

    def _count_failure(self, decision: Decision, arm: str, error: Exception) -> None:
        reason = error.reason if isinstance(error, DomainError) else type(error).__name__
        _log.warning("candidate failed", arm=arm, reason=reason, problem=str(error))
        non_finite = reason == "MODEL_OUTPUT_INVALID"
        self._add(decision, arm, Tally.of_call(None, error=True, non_finite=non_finite), "failed")

    def _add(self, decision: Decision, arm: str, tally: Tally, outcome: str) -> None:
        if decision.rollout and decision.counted:
            _ANSWERS.labels(decision.rollout.policy.model, arm, outcome).inc()
            self._counts[decision.rollout.name][arm] += tally
