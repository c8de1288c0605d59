"""A statistic of a play: what somebody did beyond what was expected."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is counted; the formulas are in `docs/statistics.md`."""

    COMPLETION = "completion"
    CATCH = "catch"
    YARDS_AFTER_CATCH = "yards_after_catch"
    DECISION = "decision"
    SEPARATION = "separation"
    COVERAGE = "coverage"


@dataclass(frozen=True, slots=True)
class Statistic:
    """A statistic of one play.

    Attributes:
        kind: what is counted.
        participant_id: whom it is of.
        display_name: his name for people.
        team_id: his team.
        position: his position.
        value: what is ranked by, in the kind's unit; more is better.
        actual: what happened, or was chosen.
        expected: what was expected, or was best.
        model_versions: resource names of those that it rests on.
    """

    kind: Kind
    participant_id: str
    display_name: str
    team_id: str
    position: str
    value: float
    actual: float
    expected: float
    model_versions: tuple[str, ...]
