"""How far forecasts were off: proper scoring rules, lower is better."""

import math

import numpy as np
from numpy.typing import NDArray

from ghostback.play import PassOutcome

_LEAST = 1e-6
"""Least probability that counts: one that says 0 of what then happens is not lost for good."""


def chances(completion: float, interception: float) -> dict[PassOutcome, float]:
    """Probability of each outcome of a pass."""
    return {
        PassOutcome.COMPLETE: completion,
        PassOutcome.INTERCEPTED: interception,
        PassOutcome.INCOMPLETE: 1.0 - completion - interception,
    }


def log_loss(probability: float) -> float:
    """Negative log-likelihood of what happened."""
    return -math.log(max(probability, _LEAST))


def crps(probability: NDArray[np.float64], first: int, happened: float) -> float:
    """Continuous ranked probability score of a distribution over whole numbers, in their unit.

    Gneiting and Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA 102 (2007).

    Args:
        probability: (n,) of each number.
        first: the first number; the others follow one by one.
        happened: what happened, rounded to a whole number.
    """
    numbers = first + np.arange(len(probability))
    return float(((np.cumsum(probability) - (numbers >= round(happened))) ** 2).sum())
