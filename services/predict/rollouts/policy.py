"""What a team writes to have a rollout: a file that can be reviewed like code."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Self

from packaging.version import Version
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.common.errors import InvalidInput, Violation
from services.predict.rollouts.guardrails import Guardrail

STABLE = "stable"
"""The arm of the version in service."""

ArmName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Percent = Annotated[float, Field(ge=0, le=100, description="Percent of plays, in steps of 0.01.")]


class Mode(StrEnum):
    """How plays are divided between arms."""

    CANARY = "canary"
    """One candidate answers a share that grows step by step, and becomes stable after the last step."""
    SHADOW = "shadow"
    """Stable answers; the others are asked afterwards, and their answers are only counted."""
    AB = "ab"
    """Any number of arms answer fixed shares until a person promotes one."""
    BLUE_GREEN = "blue-green"
    """One candidate is made ready, answers everything from a switch on, and nothing after a switch back."""


class RoutingKey(StrEnum):
    """What keeps to one arm."""

    PLAY = "play"
    GAME = "game"
    REQUEST = "request"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Step(_Strict):
    """A time with fixed weights."""

    weights: Annotated[dict[ArmName, Percent], Field(description="Percent of plays of each arm; others get none.")]
    seconds: Annotated[float, Field(ge=0, le=31_536_000, description="Least time before the next step.")] = 0.0
    plays: Annotated[int, Field(ge=0, lt=2**31, description="Least calls each arm answered before the next step.")] = 0
    patience: Annotated[
        float, Field(ge=0, le=31_536_000, description="Seconds more that undecided guardrails may take.")
    ] = 60.0


class Policy(_Strict):
    """A rollout of a model, as its team wants it."""

    model: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$", description="The model.")]
    mode: Annotated[Mode, Field(description="How plays are divided.")]
    arms: Annotated[
        dict[ArmName, Annotated[str, AfterValidator(lambda version: str(Version(version)))]],
        Field(min_length=1, max_length=8, description="Version of each arm beside stable."),
    ]
    steps: Annotated[tuple[Step, ...], Field(max_length=32, description="Weights, one after the other.")] = ()
    key: Annotated[RoutingKey, Field(description="What keeps to one arm.")] = RoutingKey.PLAY
    guardrails: Annotated[tuple[Guardrail, ...], Field(max_length=16, description="What the arms must keep to.")] = ()
    alpha: Annotated[float, Field(gt=0, lt=0.5, description="Highest chance that any verdict is wrong.")] = 0.05
    answer_budget: Annotated[
        float, Field(ge=0.001, le=30, description="Seconds a candidate may take before stable answers.")
    ] = 1.0

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if STABLE in self.arms:
            raise ValueError(f"arms: {STABLE!r} is the version in service and cannot be named")
        if len(self.arms) > 1 and self.mode in (Mode.CANARY, Mode.BLUE_GREEN):
            raise ValueError(f"arms: {self.mode} takes one arm, not {len(self.arms)}")
        least, most = _STEPS[self.mode]
        if not least <= len(self.steps) <= most:
            raise ValueError(f"steps: {self.mode} takes {least} to {most} steps, not {len(self.steps)}")
        for i, step in enumerate(self.steps):
            if unknown := step.weights.keys() - self.arms.keys():
                raise ValueError(f"steps[{i}].weights: there is no arm {min(unknown)!r}")
        total = sum(self.largest(arm) for arm in self.arms)
        if self.mode in (Mode.CANARY, Mode.AB) and total > _MOST:
            raise ValueError(f"steps: the arms' largest weights are {total:g}% together; stable keeps at least 1%")
        return self

    @property
    def stages(self) -> tuple[Step, ...]:
        """The steps, with those that the mode implies."""
        if self.mode is Mode.BLUE_GREEN:
            return tuple(Step(weights=dict.fromkeys(self.arms, share)) for share in (0.0, 100.0))
        return self.steps or (Step(weights=dict.fromkeys(self.arms, 100.0)),)

    def largest(self, arm: str) -> float:
        """The largest weight of an arm over all steps, percent."""
        return max(step.weights.get(arm, 0.0) for step in self.stages)


_STEPS = {Mode.CANARY: (1, 32), Mode.AB: (1, 1), Mode.SHADOW: (0, 1), Mode.BLUE_GREEN: (0, 0)}
_MOST = 99.0


def parse(document: Mapping[str, object], prefix: str = "policy") -> Policy:
    """The policy that a document describes.

    Raises:
        InvalidInput: it does not keep to the form; every field that is wrong is named.
    """
    try:
        return Policy.model_validate(document)
    except ValidationError as error:
        violations = [
            Violation(".".join([prefix, *map(str, wrong["loc"])]), wrong["msg"].removeprefix("Value error, "))
            for wrong in error.errors()
        ]
        raise InvalidInput("FIELD_INVALID", violations) from None
