"""How good a distribution of yards after the catch is, on games no training saw."""

import numpy as np
from numpy.typing import NDArray

from services.predict.yards import FIRST_YARDS, N_YARDS
from training.outcomes.passes import Float, Floats, Passes
from training.yards.catches import AIR_YARDS, LAST_YARDS, shares, touchdown, whole_yards

ERRORS = ("crps", "mean_error", "cover_50", "width_50", "cover_90", "width_90", "ece_nflfastr")
_AIR_YARDS_BINS = (0, 5, 10, 15, 25)
_KINDS = (1, 6, 11)
"""Yards at which another kind of run begins."""
_DEEP = 5  # air yards
_WIDTH = 0.05
_YARDS = np.arange(FIRST_YARDS, LAST_YARDS + 1)


def report(passes: Passes, probability: Float, train: Passes) -> dict[str, object]:
    """Everything that is told of a model: of passes as thrown, and of those to every receiver, beside baselines.

    Args:
        passes: n held-out passes that were caught, with what the simulator knows of their gains.
        probability: (n, 101) that the model says.
        train: caught passes that the baselines are fitted to.
    """
    said = {"model": probability.astype(np.float64)} | baselines(passes, train) | {"truth": truth(passes)}
    parts: dict[str, object] = {}
    for kind, chosen in (("actual", passes.actual), ("all", np.ones(len(passes), np.bool_))):
        told = {name: errors(passes.take(chosen), values[chosen]) for name, values in said.items()}
        parts[kind] = {"passes": int(chosen.sum()), "yards": told}
    return parts


def baselines(passes: Passes, train: Passes) -> dict[str, Floats]:
    """Distributions (n, 101) as of training passes, of all and of those of about as many air yards.

    What is beyond the end zone is a touchdown.
    """
    before = whole_yards(train.gain, train.catch)
    known, asked = (
        np.searchsorted(_AIR_YARDS_BINS, each.catch[:, AIR_YARDS], side="right") for each in (train, passes)
    )
    by_bin = np.stack([shares(before[known == i]) for i in range(len(_AIR_YARDS_BINS) + 1)])
    rate = np.tile(shares(before), (len(passes), 1))
    return {"base_rate": _within(rate, passes), "air_yards": _within(by_bin[asked], passes)}


def truth(passes: Passes) -> Floats:
    """Distributions (n, 101) of the simulator's draws; NaN where none was caught."""
    said = np.full((len(passes), N_YARDS), np.nan)
    for i, gains in enumerate(passes.gains):
        drawn = gains[np.isfinite(gains)]
        if len(drawn):
            said[i] = shares(whole_yards(drawn, np.repeat(passes.catch[i : i + 1], len(drawn), axis=0)))
    return said


def _within(probability: Floats, passes: Passes) -> Floats:
    goal = touchdown(passes.catch)[:, None]
    short = np.where(goal > _YARDS, probability, 0.0)
    bounded: Floats = short + (goal == _YARDS) * (1.0 - short.sum(axis=1, keepdims=True))
    return bounded


def errors(passes: Passes, probability: Floats) -> dict[str, float]:
    """The `ERRORS` of distributions (n, 101); rows without one are left out."""
    known = np.isfinite(probability[:, 0])
    passes, probability = passes.take(known), probability[known]
    yards = whole_yards(passes.gain, passes.catch)
    below = np.cumsum(probability, axis=1)
    expected = probability @ _YARDS
    told = {
        "crps": float(((below - (yards[:, None] <= _YARDS)) ** 2).sum(axis=1).mean()),
        "mean_error": float((expected - yards).mean()),
    }
    for share in (50, 90):
        low, high = (quantile(below, 0.5 + side * share / 200) for side in (-1, 1))
        told[f"cover_{share}"] = covered(below, yards, share / 100)
        told[f"width_{share}"] = float((high - low).mean())
    return told | {"ece_nflfastr": nflfastr_calibration_error(probability, yards, passes.catch[:, AIR_YARDS])}


def quantile(below: Floats, share: float) -> NDArray[np.int64]:
    """Whole yards (n,) that are reached with at least a share of the distributions' cumulative sums (n, 101)."""
    reached: NDArray[np.int64] = np.argmax(below >= share - 1e-9, axis=1) + FIRST_YARDS
    return reached


def covered(below: Floats, yards: NDArray[np.int64], share: float) -> float:
    """How many of some runs (n,) lie in the central interval of a share; yards at its ends count in part.

    The part is that of their probability which lies within, so a right distribution covers the share, neither more
    nor less, though it is one over whole yards.

    Args:
        below: (n, 101) cumulative sums of the distributions.
        yards: (n,) whole yards.
        share: of the interval.
    """
    rows, column = np.arange(len(yards)), yards - FIRST_YARDS
    high = below[rows, column]
    low = np.where(column > 0, below[rows, column - 1], 0.0)
    within = np.minimum(high, 0.5 + share / 2) - np.maximum(low, 0.5 - share / 2)
    return float(np.clip(within / np.maximum(high - low, 1e-12), 0.0, 1.0).mean())


def nflfastr_calibration_error(probability: Floats, yards: NDArray[np.int64], air_yards: Float) -> float:
    """The calibration error as nflfastR computes it for its yards after catch.

    Runs are told apart as of no gain, of 1 to 5 yards, of 6 to 10 and of more; their probabilities are rounded to
    0.05. The rounded ones' distances to the shares that happened, of passes below 5 air yards and of the others, are
    averaged by number of passes (Baldwin 2021, opensourcefootball.com, "nflfastR EP, WP, CP, xYAC, and xPass models").
    """
    said = np.add.reduceat(probability, np.searchsorted(_YARDS, [FIRST_YARDS, *_KINDS]), axis=1)
    happened = np.searchsorted(_KINDS, yards, side="right")[:, None] == np.arange(len(_KINDS) + 1)
    rounded = np.round(said / _WIDTH)
    deep = np.repeat(air_yards >= _DEEP, len(_KINDS) + 1)
    kind = np.tile(np.arange(len(_KINDS) + 1), len(yards))
    cells = np.stack([deep, kind, rounded.ravel()], axis=1)
    _, where, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    share = np.bincount(where.ravel(), happened.ravel()) / counts
    return float(np.abs(_WIDTH * rounded.ravel() - share[where.ravel()]).mean())
