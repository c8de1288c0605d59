"""What is done about each fault of a feed: the three named policies.

`strict` is the cleaning of Cheong, Zeng, Tyagi, "Prediction of Defensive Player Trajectories in NFL
Games with Defender CNN-LSTM Model", MIT Sloan Sports Analytics Conference 2021: what is superhuman
is dropped, and so is the whole trajectory of a player who leaves the field. `live` mends what can
be mended, so that a model has its inputs. `archive` keeps the record as it came: only what cannot
be placed at a tag and a frame is held back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import numpy as np
from numpy.typing import NDArray


class Reason(IntEnum):
    """What is wrong with a sample; numbered as `QuarantineReason` of the contract. 0 is fit."""

    FIT = 0
    NOT_FINITE = 1
    UNKNOWN_TAG = 2
    CONFLICTING_DUPLICATE = 3
    OFF_FIELD = 4
    SPEED = 5
    DISPLACEMENT = 6
    ANGLE = 7
    RANGE = 8
    NOT_IN_ROSTER = 9
    OUT_OF_ORDER = 10
    CLOCK_BACKWARDS = 11
    FROZEN = 12
    GAP = 13
    SAMPLE_RATE = 14
    SWAPPED_TAGS = 15


class Action(StrEnum):
    """What is done about a fault.

    `KEEP` takes the sample for fit, and the quality report counts it. `REJECT` puts it into
    quarantine. `REPAIR` does so too, and fills its place when the play is read. `REJECT_TRAJECTORY`
    does so, and leaves out every sample of the tag when the play is read.
    """

    KEEP = "keep"
    REJECT = "reject"
    REPAIR = "repair"
    REJECT_TRAJECTORY = "reject_trajectory"


_HELD_BACK = frozenset({Action.REJECT, Action.REPAIR, Action.REJECT_TRAJECTORY})
_ANY = frozenset(Action)
_CHOICES: Mapping[Reason, frozenset[Action]] = {
    Reason.NOT_FINITE: _HELD_BACK,
    Reason.UNKNOWN_TAG: frozenset({Action.REJECT}),
    Reason.CONFLICTING_DUPLICATE: frozenset({Action.REJECT}),
    Reason.OFF_FIELD: _ANY,
    Reason.SPEED: _ANY,
    Reason.DISPLACEMENT: _ANY,
    Reason.ANGLE: _HELD_BACK,
    Reason.RANGE: frozenset({Action.REJECT}),
    Reason.NOT_IN_ROSTER: frozenset({Action.REJECT}),
    Reason.OUT_OF_ORDER: _ANY,
    Reason.CLOCK_BACKWARDS: _ANY,
    Reason.FROZEN: _ANY,
    Reason.GAP: frozenset({Action.KEEP, Action.REPAIR, Action.REJECT_TRAJECTORY}),
    Reason.SAMPLE_RATE: frozenset({Action.KEEP, Action.REJECT_TRAJECTORY}),
    Reason.SWAPPED_TAGS: frozenset({Action.KEEP, Action.REPAIR, Action.REJECT_TRAJECTORY}),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what is taken for real.

    Attributes:
        speed: highest reported speed of a player, yards per second.
        displacement: farthest a player moves in 0.1 s, yards.
        off_field: how far beyond the field's edge a sample may lie, yards; players do run out of bounds.
        frozen_speed: a tag that reports more than this, yards per second, and stays where it was is frozen.
        late: a sample that comes after a later one of its tag is out of order up to this, seconds;
            beyond it, the feed's clock ran backwards.
        gap: longest gap that is filled, seconds.
        rate: how far from 1 the ratio of the way moved to the way that reported speed and the sample
            rate make may be.
        frames: frames of a play, counted from 0.
    """

    speed: float = 12.47
    displacement: float = 1.247
    off_field: float = 10.0
    frozen_speed: float = 2.0
    late: float = 1.0
    gap: float = 0.5
    rate: float = 0.4
    frames: int = 8_192


@dataclass(frozen=True)
class Policy:
    """The action for every reason, and the limits.

    Raises:
        ValueError: an action that a reason does not have.
    """

    actions: Mapping[Reason, Action]
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        for reason, action in self.actions.items():
            if action not in _CHOICES[reason]:
                choices = ", ".join(sorted(_CHOICES[reason]))
                raise ValueError(f"{action} cannot be done about {reason.name}; choose of {choices}")

    def finds(self, reason: Reason) -> bool:
        """Whether samples with this fault are held back."""
        return self.actions[reason] is not Action.KEEP

    def held_for_lateness(self, reasons: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """(n,) which samples are held back for when they came, not for what they say."""
        late = (Reason.OUT_OF_ORDER, Reason.CLOCK_BACKWARDS)
        return np.isin(reasons, [reason for reason in late if self.finds(reason)])

    def action(self, reason: Reason) -> Action:
        """What is done about a fault."""
        return self.actions[reason]


_STRICT = dict.fromkeys(_CHOICES, Action.REJECT) | {
    Reason.OFF_FIELD: Action.REJECT_TRAJECTORY,
    Reason.OUT_OF_ORDER: Action.KEEP,
    Reason.GAP: Action.KEEP,
    Reason.SAMPLE_RATE: Action.REJECT_TRAJECTORY,
    Reason.SWAPPED_TAGS: Action.REJECT_TRAJECTORY,
}
_LIVE = _STRICT | {
    Reason.NOT_FINITE: Action.REPAIR,
    Reason.OFF_FIELD: Action.REPAIR,
    Reason.SPEED: Action.REPAIR,
    Reason.DISPLACEMENT: Action.REPAIR,
    Reason.ANGLE: Action.REPAIR,
    Reason.FROZEN: Action.REPAIR,
    Reason.GAP: Action.REPAIR,
    Reason.SAMPLE_RATE: Action.KEEP,
    Reason.SWAPPED_TAGS: Action.REPAIR,
}
_ARCHIVE = {reason: Action.KEEP if Action.KEEP in choices else Action.REJECT for reason, choices in _CHOICES.items()}
POLICIES: Mapping[str, dict[Reason, Action]] = {"strict": _STRICT, "live": _LIVE, "archive": _ARCHIVE}
"""The actions of the named policies."""
