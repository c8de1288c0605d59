"""Score profiles: versioned readings of what the published score leaves open."""

import math
from dataclasses import dataclass
from enum import Enum

from services.common.errors import NotFound


class MeasuredTo(Enum):
    """What the distance of a defender is measured to."""

    CATCH_POINT = "where the receiver is at arrival"
    RECEIVER = "the receiver as he moves"


class Diverging(Enum):
    """How the distance ratio DR enters where a defender comes no closer; where he closes it multiplies."""

    MULTIPLY = "multiplied by DR"
    COMPLEMENT = "multiplied by 2 - DR"
    DIVIDE = "divided by DR"


@dataclass(frozen=True, slots=True)
class ScoreProfile:
    """A reading of the score.

    Attributes:
        name: such as `catch-point`.
        version: counts up from 1; a change of any choice or constant is a new version.
        measured_to: what the distance is measured to.
        diverging: how the distance ratio enters where a defender comes no closer.
        lateness: step t of T weighs (t / T)^lateness: 0 all alike, 1 later steps more, infinity the last one alone.
        effort: power of the distance ratio; 0 leaves it out.
        closing_limit: most that one step can count for, closing or diverging, yards.
        step_limit: longest step a human makes in 0.1 s, yards.
        penalty: added to the score for each longer step.
        radius: distance at pass forward at which a defender weighs 1/e in the play score, yards.
    """

    name: str
    version: int
    measured_to: MeasuredTo
    diverging: Diverging
    lateness: float = 0.0
    effort: float = 1.0
    closing_limit: float = math.inf
    step_limit: float = 1.247
    penalty: float = 1.0
    radius: float = 10.0

    @property
    def id(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"

    @property
    def description(self) -> str:
        """The profile in plain words."""
        return (
            f"distance to {self.measured_to.value}; step t of T weighs (t/T)^{self.lateness:g} and counts for at most "
            f"{self.closing_limit:g} yd; PS is multiplied by DR, but {self.diverging.value} where it diverges, "
            f"DR to the power of {self.effort:g}; a step over {self.step_limit} yd adds {self.penalty:g}; "
            f"play score weighs by exp(-distance / {self.radius:g} yd)"
        )


DEFAULT = ScoreProfile(
    "catch-point",
    2,
    MeasuredTo.CATCH_POINT,
    Diverging.MULTIPLY,
    lateness=1.0,
    closing_limit=1.247,
    penalty=2.5,
)
PROFILES: dict[str, ScoreProfile] = {
    profile.id: profile
    for profile in (
        ScoreProfile("catch-point", 1, MeasuredTo.CATCH_POINT, Diverging.COMPLEMENT),
        DEFAULT,
        ScoreProfile("receiver", 1, MeasuredTo.RECEIVER, Diverging.COMPLEMENT),
    )
}
"""Every profile, by id."""


def get(profile_id: str) -> ScoreProfile:
    """The profile of an id; the default for an empty one.

    Raises:
        NotFound: there is none.
    """
    if not profile_id:
        return DEFAULT
    if profile_id not in PROFILES:
        known = ", ".join(PROFILES)
        raise NotFound(
            "SCORE_PROFILE_UNKNOWN", f"there is no score profile {profile_id!r}; there are {known}", profile_id
        )
    return PROFILES[profile_id]
