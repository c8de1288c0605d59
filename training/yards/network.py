"""A small network for the yards after a catch."""

from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from services.predict.yards import FIRST_YARDS, N_YARDS, OUTPUT
from training import export
from training.outcomes import fitting
from training.outcomes.passes import Float, Passes
from training.yards.catches import END_ZONE, LAST_YARDS, whole_yards

WIDTH = 128
EPOCHS = 30
_HIGHEST_RATE, _WEIGHT_DECAY = 2e-3, 0.1
_NEVER = -1e4
"""Logit of what cannot be."""


class Distribution(nn.Module):
    """Two hidden layers over standardised measurements, for a logit of each whole yard and one of a touchdown.

    Nothing is beyond the end zone: the probability of a touchdown is that of the yards to it, rounded up.

    Args:
        mean: (n_measurements,) that is taken away.
        spread: (n_measurements,) that the rest is divided by.
    """

    mean: Tensor
    spread: Tensor
    yards: Tensor

    def __init__(self, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self.register_buffer("yards", torch.arange(FIRST_YARDS, LAST_YARDS + 1.0))
        self.layers = nn.Sequential(
            nn.Linear(len(mean), WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, N_YARDS + 1)
        )

    def forward(self, measurements: Tensor) -> Tensor:
        """Probabilities (n, 101) of measurements (n, n_measurements)."""
        logits = self.layers((measurements - self.mean) / self.spread)
        goal = torch.clamp(torch.ceil(measurements[:, END_ZONE : END_ZONE + 1]), 0.0, float(LAST_YARDS))
        short = torch.where(self.yards < goal, logits[:, :N_YARDS], _NEVER)
        probability = torch.softmax(torch.cat([short, logits[:, N_YARDS:]], dim=1), dim=1)
        scored = (self.yards == goal).float() * probability[:, N_YARDS:]
        return probability[:, :N_YARDS] + scored


@dataclass(frozen=True)
class Network:
    """A fitted network."""

    distribution: Distribution
    made_with = f"torch {torch.__version__}"

    def predict(self, measurements: Float) -> Float:
        """Probabilities (n, 101) of whole yards."""
        probability: Float = self.distribution(torch.from_numpy(measurements)).numpy()
        return probability

    def export(self, path: Path) -> None:
        """Write it as ONNX."""
        example = {"measurements": torch.zeros(2, len(self.distribution.mean))}
        onnx.save(export.traced(self.distribution, example, [OUTPUT]), path)


def fit(train: Passes, validation: Passes, seed: int) -> Network:
    """Fit a network, and keep the epoch that says best how far receivers run in validation games.

    Args:
        train: caught passes to fit to.
        validation: caught passes to choose the epoch by.
        seed: of weights and shuffling.
    """
    torch.manual_seed(seed)
    given, held = torch.from_numpy(train.catch), torch.from_numpy(validation.catch)
    column, held_column = (
        torch.from_numpy(whole_yards(each.gain, each.catch) - FIRST_YARDS) for each in (train, validation)
    )
    network = Distribution(given.mean(0), given.std(0))
    fitting.keep_best(
        network,
        lambda measurements, ran: _log_loss(network(measurements), ran),
        (given, column),
        (held, held_column),
        epochs=EPOCHS,
        highest_rate=_HIGHEST_RATE,
        weight_decay=_WEIGHT_DECAY,
    )
    return Network(network)


def _log_loss(probability: Tensor, column: Tensor) -> Tensor:
    return nn.functional.nll_loss(torch.log(probability.clamp_min(1e-9)), column)
