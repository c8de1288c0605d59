"""How a rollout goes on: what a person does, what the evidence does, and nothing else changes it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict

from services.common.errors import FailedPrecondition, InvalidInput, Violation
from services.predict.rollouts.assignment import percents_of
from services.predict.rollouts.guardrails import Reading, Verdict
from services.predict.rollouts.policy import STABLE, Mode, Policy, Step

Calls = Mapping[str, int]
"""Calls of each arm since the rollout began."""


class State(StrEnum):
    """Where a rollout stands."""

    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    ROLLED_BACK = "rolled-back"
    ABORTED = "aborted"


class Rollout(BaseModel):
    """A rollout at one moment.

    Attributes:
        number: counts the rollouts of a model, from 1.
        policy: what its team wants.
        stable: version that was in service when it began.
        state: where it stands.
        reason: why it stands there.
        step: index of its step.
        created: when it began.
        since: when the step began, or the rollout ended.
        over: when the step's time was over while guardrails were undecided.
        calls_before: calls of each arm when the step began.
        dropped: arms that get no plays any more, with the reason.
        winner: the arm that became stable; empty when none did.
        revision: counts its changes, from 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    policy: Policy
    stable: str
    state: State = State.RUNNING
    reason: str = ""
    step: int = 0
    created: datetime
    since: datetime
    over: datetime | None = None
    calls_before: dict[str, int] = {}
    dropped: dict[str, str] = {}
    winner: str = ""
    revision: int = 1

    @property
    def name(self) -> str:
        """`models/{model}/rollouts/{rollout}`."""
        return name_of(self.policy.model, self.number)

    @property
    def active(self) -> bool:
        """Whether it divides plays."""
        return self.state in (State.RUNNING, State.PAUSED)

    @property
    def stage(self) -> Step:
        """The step it is at."""
        return self.policy.stages[self.step]

    @property
    def in_service(self) -> str:
        """The version that is stable once this rollout is over."""
        return self.policy.arms[self.winner] if self.state is State.SUCCEEDED else self.stable

    @property
    def versions(self) -> dict[str, str]:
        """Version of each arm, stable first."""
        return {STABLE: self.stable, **self.policy.arms}

    @property
    def percents(self) -> dict[str, float]:
        """Percent of plays of each arm now, stable first; of a shadow arm what is mirrored to it."""
        return percents_of(self.policy, self.step, self.dropped if self.active else self.policy.arms)


def name_of(model: str, number: int) -> str:
    """Resource name of a rollout."""
    return f"models/{model}/rollouts/{number}"


def pause(rollout: Rollout) -> Rollout:
    """Hold it at its step.

    Raises:
        FailedPrecondition: it is not running.
    """
    _must_be(rollout, State.RUNNING)
    return rollout.model_copy(update={"state": State.PAUSED})


def resume(rollout: Rollout, calls: Calls, now: datetime) -> Rollout:
    """Go on; the step begins anew.

    Raises:
        FailedPrecondition: it is not paused.
    """
    _must_be(rollout, State.PAUSED)
    return _at(rollout, rollout.step, calls, now)


def promote(rollout: Rollout, arm: str, full: bool, calls: Calls, now: datetime) -> Rollout:
    """Go to the next step, or to the end: the arm becomes stable.

    Args:
        rollout: the rollout.
        arm: the arm that becomes stable; may be empty where there is one.
        full: whether to leave out the steps that are left.
        calls: of each arm.
        now: the time.

    Raises:
        FailedPrecondition: the rollout is over, or the arm was dropped.
        InvalidInput: there is no such arm, or there are several and none was named.
    """
    _must_be(rollout, State.RUNNING, State.PAUSED)
    arms = list(rollout.policy.arms)
    if (not arm and len(arms) > 1) or (arm and arm not in arms):
        violation = Violation("arm", f"{arm!r} is not one of {', '.join(arms)}")
        raise InvalidInput("ARM_UNKNOWN", [violation])
    arm = arm or arms[0]
    if arm in rollout.dropped:
        raise FailedPrecondition(
            "ROLLOUT_STATE", f"arm {arm} of {rollout.name} was dropped: {rollout.dropped[arm]}", rollout.name
        )
    if full or rollout.step + 1 == len(rollout.policy.stages):
        return _ended(rollout, State.SUCCEEDED, now, winner=arm)
    return _at(rollout, rollout.step + 1, calls, now)


def abort(rollout: Rollout, now: datetime) -> Rollout:
    """End it because it is not wanted any more.

    Raises:
        FailedPrecondition: it is over.
    """
    _must_be(rollout, State.RUNNING, State.PAUSED)
    return _ended(rollout, State.ABORTED, now)


def roll_back(rollout: Rollout, now: datetime) -> Rollout:
    """End it because its candidate is worse, or undo it where it has succeeded.

    Raises:
        FailedPrecondition: it was rolled back or aborted.
    """
    _must_be(rollout, State.RUNNING, State.PAUSED, State.SUCCEEDED)
    return _ended(rollout, State.ROLLED_BACK, now)


def follow(
    rollout: Rollout,
    readings: Mapping[str, Sequence[Reading]],
    calls: Calls,
    now: datetime,
    unusable: Mapping[str, str] = MappingProxyType({}),
) -> tuple[str, Rollout]:
    """What the evidence does with an active rollout.

    An arm that breaks a guardrail, or whose version cannot be used, is dropped; when none is left, the rollout is
    rolled back. A running canary goes to its next step when the step's time is over and every guardrail passes, and
    pauses for a person when some are undecided for longer than the step's patience. The other modes go on until a
    person acts.

    Args:
        rollout: an active rollout.
        readings: of each arm beside stable.
        calls: of each arm.
        now: the time.
        unusable: why the versions of arms cannot be used.

    Returns:
        What was done, in the log's words, and the rollout; an empty word where nothing was.
    """
    broken = {
        arm: "; ".join(reading.text for reading in of_arm if reading.verdict is Verdict.FAIL)
        for arm, of_arm in readings.items()
    }
    dropped = {**unusable, **{arm: text for arm, text in broken.items() if text}, **rollout.dropped}
    if len(dropped) == len(rollout.policy.arms):
        return "roll_back", _ended(rollout, State.ROLLED_BACK, now, dropped=dropped)
    if dropped != rollout.dropped:
        return "drop_arm", rollout.model_copy(update={"dropped": dropped})
    if rollout.state is not State.RUNNING or rollout.policy.mode is not Mode.CANARY:
        return "", rollout
    if now < rollout.since + timedelta(seconds=rollout.stage.seconds) or any(
        calls.get(arm, 0) - rollout.calls_before.get(arm, 0) < rollout.stage.plays for arm in rollout.policy.arms
    ):
        return "", rollout
    undecided = [r.text for of_arm in readings.values() for r in of_arm if r.verdict is not Verdict.PASS]
    if not undecided:
        return "advance", promote(rollout, "", False, calls, now)
    reason = f"the step's time is over and the evidence is inconclusive: {'; '.join(undecided)}"
    if now >= (rollout.over or now) + timedelta(seconds=rollout.stage.patience):
        return "pause", rollout.model_copy(update={"state": State.PAUSED, "reason": reason})
    if rollout.over:
        return "", rollout
    return "wait", rollout.model_copy(update={"over": now, "reason": reason})


def _at(rollout: Rollout, step: int, calls: Calls, now: datetime) -> Rollout:
    return rollout.model_copy(
        update={
            "state": State.RUNNING,
            "reason": "",
            "step": step,
            "since": now,
            "over": None,
            "calls_before": dict(calls),
        }
    )


def _ended(rollout: Rollout, state: State, now: datetime, **changes: object) -> Rollout:
    return rollout.model_copy(update={"state": state, "reason": "", "since": now, **changes})


def _must_be(rollout: Rollout, *states: State) -> None:
    if rollout.state not in states:
        raise FailedPrecondition(
            "ROLLOUT_STATE",
            f"{rollout.name} is {rollout.state}, this needs one that is {' or '.join(states)}",
            rollout.name,
        )
