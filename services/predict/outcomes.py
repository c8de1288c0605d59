"""What a model of the task `pass-outcome` says of passes."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

OUTPUT = "probability"
"""The tensor with which it answers: (n_rows, 3), in the order of `Outcome`."""

_SUM_TOLERANCE = 1e-3


class Outcome(IntEnum):
    """How a pass ends."""

    COMPLETE = 0
    INCOMPLETE = 1
    INTERCEPTED = 2


def are_probabilities(answer: NDArray[np.float32]) -> bool:
    """Whether every row (n_rows, 3) has no negative number and sums to 1."""
    return bool((answer >= 0).all() and (np.abs(answer.sum(axis=1) - 1) <= _SUM_TOLERANCE).all())
