"""What a candidate feature is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from services.features.screening.throw import Throw

Points = NDArray[np.float64]
Columns = NDArray[np.float32]


class Known(IntEnum):
    """The instant until which a play must be known to tell a candidate's value."""

    BEFORE_SNAP = 0
    """Situation and line-ups; no sample is needed."""
    SNAP = 1
    """Samples up to the snap."""
    THROW = 2
    """Samples up to pass forward."""
    FLIGHT = 3
    """Those, and where and when the ball comes down, which its flight reveals."""
    ARRIVAL = 4
    """Those, and the tracks of ball and targeted receiver until the pass arrives: known in retrospect only."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A number that may carry what a defender does after the throw.

    Attributes:
        name: unique, such as `separation`.
        unit: such as `yd`; `1` for counts, shares and flags.
        description: what it is.
        group: what it is about, such as `defender`.
        known: until when the play must be known.
        compute: gives the value for each defender of a throw, (n_defenders,) or one for all; NaN where
            the play does not tell.
    """

    name: str
    unit: str
    description: str
    group: str
    known: Known
    compute: Callable[[Throw], Points | float]

    @property
    def entry(self) -> str:
        """Name and unit, as in a tensor's entries."""
        return f"{self.name} {self.unit}"


def values(throw: Throw, candidates: Sequence[Candidate]) -> Columns:
    """The candidates of each defender of a throw: (n_defenders, n_candidates)."""
    columns = np.empty((len(throw.defender_ids), len(candidates)), np.float32)
    for i, candidate in enumerate(candidates):
        columns[:, i] = candidate.compute(throw)
    columns[~np.isfinite(columns)] = np.nan
    return columns
