"""How good the probabilities of a pass' outcome are, on games no training saw."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from services.predict.outcomes import Outcome
from training.outcomes.passes import Float, Floats, Passes

BINS = 10
"""Bins of a calibration curve, each with as many passes as another."""
AIR_YARDS = 4
"""Column of the measurements."""
EVENTS = {"completion": Outcome.COMPLETE, "interception": Outcome.INTERCEPTED}
ERRORS = ("log_loss", "brier", "auc", "ece", "ece_truth", "ece_nflfastr", "rms_truth")
_WIDTH = 0.05
_GROUPS = (5, 15)  # air yards
_LEAST = 1e-6


def report(passes: Passes, probability: Float, train: Passes) -> dict[str, object]:
    """Everything that is told of a model: of actual passes, and of those to every receiver, beside baselines.

    Args:
        passes: n held-out passes, with the truth.
        probability: (n, 3) that the model says.
        train: passes that the baselines are fitted to.
    """
    said = {"model": probability.astype(np.float64)} | baselines(passes, train) | {"truth": passes.truth}
    parts: dict[str, object] = {}
    for kind, chosen in (("actual", passes.actual), ("all", np.ones(len(passes), np.bool_))):
        own = passes.take(chosen)
        told = {
            event: {name: errors(own, values[chosen], outcome) for name, values in said.items()}
            for event, outcome in EVENTS.items()
        }
        curves = {
            event: curve(said["model"][chosen, outcome], own.outcome == outcome).tolist()
            for event, outcome in EVENTS.items()
        }
        parts[kind] = {"passes": len(own)} | told | {"curves": curves}
    return parts


def baselines(passes: Passes, train: Passes) -> dict[str, Floats]:
    """Probabilities (n, 3): how often passes end in each way, and a logistic regression on air yards."""
    rate = np.bincount(train.outcome, minlength=len(Outcome)) / len(train)
    air_yards = [p.measurements[:, AIR_YARDS : AIR_YARDS + 1] for p in (train, passes)]
    logistic = LogisticRegression(C=np.inf, max_iter=1000).fit(air_yards[0], train.outcome)
    return {"base_rate": np.tile(rate, (len(passes), 1)), "air_yards": logistic.predict_proba(air_yards[1])}


def errors(passes: Passes, probability: Floats, outcome: Outcome) -> dict[str, float]:
    """The `ERRORS` of probabilities (n, 3) of an outcome; those of `truth` compare with the simulator's own."""
    said, happened, truth = probability[:, outcome], passes.outcome == outcome, passes.truth[:, outcome]
    bounded = np.clip(said, _LEAST, 1 - _LEAST)
    return {
        "log_loss": float(-np.where(happened, np.log(bounded), np.log1p(-bounded)).mean()),
        "brier": float(((said - happened) ** 2).mean()),
        "auc": float(roc_auc_score(happened, said)),
        "ece": calibration_error(said, happened),
        "ece_truth": calibration_error(said, truth),
        "ece_nflfastr": nflfastr_calibration_error(said, happened, passes.measurements[:, AIR_YARDS]),
        "rms_truth": float(np.sqrt(((said - truth) ** 2).mean())),
    }


def curve(said: Floats, happened: NDArray[np.bool_] | Floats) -> Floats:
    """A calibration curve (n_bins, 3): mean probability said, share that happened, number; of bins equally full."""
    bins = np.array_split(np.argsort(said, kind="stable"), BINS)
    return np.array([(said[rows].mean(), happened[rows].mean(), len(rows)) for rows in bins])


def calibration_error(said: Floats, happened: NDArray[np.bool_] | Floats) -> float:
    """Expected calibration error over bins equally full."""
    mean, share, number = curve(said, happened).T
    return float(np.average(np.abs(mean - share), weights=number))


def nflfastr_calibration_error(said: Floats, happened: NDArray[np.bool_], air_yards: Float) -> float:
    """The calibration error as nflfastR computes it for its completion probabilities.

    Probabilities are rounded to 0.05; in each of three groups by air yards, below 5, below 15 and the rest, the
    rounded ones' distances to the shares that happened are averaged by number of passes; and these averages by how
    many of each group happened (Baldwin 2021, opensourcefootball.com, "nflfastR EP, WP, CP, xYAC, and xPass models").
    """
    rounded = np.round(said / _WIDTH) * _WIDTH
    group = np.searchsorted(_GROUPS, air_yards, side="right")
    missed, weights = [], []
    for number in np.unique(group):
        own = group == number
        _, where, counts = np.unique(rounded[own], return_inverse=True, return_counts=True)
        share = np.bincount(where, happened[own]) / counts
        missed.append(float(np.abs(rounded[own] - share[where]).mean()))
        weights.append(float(happened[own].sum()))
    return float(np.average(missed, weights=weights))
