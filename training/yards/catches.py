"""Passes that were caught, as whole yards after the catch."""

import numpy as np
from numpy.typing import NDArray

from services.predict.outcomes import Outcome
from services.predict.yards import FIRST_YARDS, N_YARDS
from training.outcomes.passes import Float, Floats, Passes

LAST_YARDS = FIRST_YARDS + N_YARDS - 1
AIR_YARDS, END_ZONE = 0, 1
"""Columns of the measurements."""
_ROUNDING = 0.01
"""Yards that a gain to the end zone may be off."""


def caught(every: Passes) -> Passes:
    """Those that were caught."""
    return every.take(every.outcome == Outcome.COMPLETE)


def touchdown(catch: Float) -> NDArray[np.int64]:
    """Whole yards (n,) after the catch that stand for a touchdown: those to the end zone, rounded up.

    Args:
        catch: (n, 19) measurements.
    """
    return np.clip(np.ceil(np.maximum(catch[:, END_ZONE], 0.0)), 0, LAST_YARDS).astype(np.int64)


def whole_yards(gain: Floats, catch: Float) -> NDArray[np.int64]:
    """Whole yards after the catch, from `FIRST_YARDS` to `LAST_YARDS`, for gains of the play.

    Args:
        gain: (n,) yards from the line of scrimmage.
        catch: (n, 19) measurements.
    """
    to_go = np.maximum(catch[:, END_ZONE], 0.0)
    after = gain - catch[:, AIR_YARDS]
    goal = touchdown(catch)
    short = np.clip(np.rint(after), FIRST_YARDS, goal - 1)
    return np.where(after > to_go - _ROUNDING, goal, short).astype(np.int64)


def shares(yards: NDArray[np.int64]) -> Floats:
    """Distribution (`N_YARDS`,) over whole yards in which some (n,) are found."""
    counts = np.bincount(yards - FIRST_YARDS, minlength=N_YARDS)
    return counts / len(yards)
