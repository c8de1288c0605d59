"""Boosted trees for the outcome of a pass: first whether it is caught, and if not whether it is intercepted."""

from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import compose
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from services.predict.outcomes import OUTPUT, Outcome
from training import export
from training.outcomes.passes import Float, Floats, Passes

ROUNDS, PATIENCE = 3000, 100
"""Trees of a booster at most, and how many may come without a better validation loss."""
_PARAMETERS = {
    "objective": "binary",
    "learning_rate": 0.03,
    "num_leaves": 15,
    "min_data_in_leaf": 100,
    "lambda_l2": 10.0,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
_MADE_EASIER = {"air distance yd": -1, "target separation yd": 1, "receiver to ball yd": -1, "defender to ball yd": 1}
"""Which way a catch becomes more likely, all else the same."""


class Nested(nn.Module):
    """From two sums of trees to three probabilities, each sum calibrated by Platt scaling (Platt 1999).

    Args:
        slopes: (2,) of a catch, and of an interception when there is no catch.
        intercepts: (2,) likewise.
    """

    slopes: Tensor
    intercepts: Tensor

    def __init__(self, slopes: list[float], intercepts: list[float]) -> None:
        super().__init__()
        self.register_buffer("slopes", torch.tensor(slopes))
        self.register_buffer("intercepts", torch.tensor(intercepts))

    def forward(self, sums: Tensor) -> Tensor:
        """Probabilities (n, 3) from sums (n, 2)."""
        caught, intercepted = torch.sigmoid(self.slopes * sums + self.intercepts).unbind(dim=1)
        return torch.stack([caught, (1 - caught) * (1 - intercepted), (1 - caught) * intercepted], dim=1)


@dataclass(frozen=True)
class Trees:
    """Two boosters and what is made of their sums.

    Attributes:
        boosters: of a catch, and of an interception when there is no catch.
        nested: the calibrated probabilities.
    """

    boosters: tuple[lightgbm.Booster, lightgbm.Booster]
    nested: Nested
    made_with = f"lightgbm {lightgbm.__version__}"

    def predict(self, measurements: Float) -> Float:
        """Probabilities (n, 3) in the order of `Outcome`."""
        sums = np.stack([_sums(booster, measurements) for booster in self.boosters], axis=1)
        probability: Float = self.nested(torch.from_numpy(sums.astype(np.float32))).numpy()
        return probability

    def export(self, path: Path) -> None:
        """Write them as ONNX."""
        last = export.traced(self.nested, {"sums": torch.zeros(2, 2)}, [OUTPUT])
        boosters = [_regressor(booster) for booster in self.boosters]
        first = export.forest(boosters, "measurements", "sums", last.ir_version)
        onnx.save(compose.merge_models(first, last, [("sums", "sums")]), path)


def fit(train: Passes, validation: Passes, entries: tuple[str, ...], seed: int) -> Trees:
    """Grow both boosters until they say no better how validation passes end, then calibrate them on these.

    Args:
        train: to fit to.
        validation: to choose the number of trees by, and to calibrate on.
        entries: names of the measurements.
        seed: of sampling.
    """
    easier = [_MADE_EASIER.get(entry, 0) for entry in entries]
    boosters, slopes, intercepts = [], [], []
    for outcome, constraints in ((Outcome.COMPLETE, easier), (Outcome.INTERCEPTED, [0] * len(entries))):
        left, held = (p if outcome is Outcome.COMPLETE else p.take(p.outcome != 0) for p in (train, validation))
        booster = _grow(left, held, outcome, _PARAMETERS | {"seed": seed, "monotone_constraints": constraints})
        platt = LogisticRegression(C=np.inf).fit(_sums(booster, held.measurements)[:, None], held.outcome == outcome)
        boosters.append(booster)
        slopes.append(float(platt.coef_[0, 0]))
        intercepts.append(float(platt.intercept_[0]))
    return Trees((boosters[0], boosters[1]), Nested(slopes, intercepts).requires_grad_(False))


def _grow(train: Passes, held: Passes, outcome: Outcome, parameters: dict[str, object]) -> lightgbm.Booster:
    data = lightgbm.Dataset(train.measurements, train.outcome == outcome)
    valid = data.create_valid(held.measurements, held.outcome == outcome)
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    return lightgbm.train(parameters, data, ROUNDS, [valid], callbacks=[stop])


def _sums(booster: lightgbm.Booster, measurements: Float) -> Floats:
    sums: NDArray[np.float64] = booster.predict(measurements, raw_score=True)  # type: ignore[assignment]
    return sums


def _regressor(booster: lightgbm.Booster) -> lightgbm.Booster:
    """The same trees with their sum as the answer."""
    text = booster.model_to_string(num_iteration=booster.best_iteration)
    return lightgbm.Booster(model_str=text.replace("objective=binary sigmoid:1", "objective=regression"))
