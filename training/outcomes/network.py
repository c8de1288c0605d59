"""A small network for the outcome of a pass."""

from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from services.predict.outcomes import OUTPUT, Outcome
from training import export
from training.outcomes import fitting
from training.outcomes.passes import Float, Passes

WIDTH = 64
EPOCHS = 40
_HIGHEST_RATE, _WEIGHT_DECAY = 3e-3, 1e-2


class Perceptron(nn.Module):
    """Two hidden layers over standardised measurements; its logits are calibrated by a temperature (Guo et al. 2017).

    Args:
        mean: (n_measurements,) that is taken away.
        spread: (n_measurements,) that the rest is divided by.
    """

    mean: Tensor
    spread: Tensor
    temperature: Tensor

    def __init__(self, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self.register_buffer("temperature", torch.ones(()))
        self.layers = nn.Sequential(
            nn.Linear(len(mean), WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, len(Outcome))
        )

    def logits(self, measurements: Tensor) -> Tensor:
        """Logits (n, 3) of measurements (n, n_measurements)."""
        logits: Tensor = self.layers((measurements - self.mean) / self.spread) / self.temperature
        return logits

    def forward(self, measurements: Tensor) -> Tensor:
        """Probabilities (n, 3) in the order of `Outcome`."""
        return torch.softmax(self.logits(measurements), dim=1)


@dataclass(frozen=True)
class Network:
    """A fitted perceptron."""

    perceptron: Perceptron
    made_with = f"torch {torch.__version__}"

    def predict(self, measurements: Float) -> Float:
        """Probabilities (n, 3) in the order of `Outcome`."""
        probability: Float = self.perceptron(torch.from_numpy(measurements)).numpy()
        return probability

    def export(self, path: Path) -> None:
        """Write it as ONNX."""
        example = {"measurements": torch.zeros(2, len(self.perceptron.mean))}
        onnx.save(export.traced(self.perceptron, example, [OUTPUT]), path)


def fit(train: Passes, validation: Passes, entries: tuple[str, ...], seed: int) -> Network:
    """Fit a network, keep the epoch that says best how validation passes end, and calibrate it on these.

    Args:
        train: to fit to.
        validation: to choose the epoch by, and to calibrate on.
        entries: names of the measurements.
        seed: of weights and shuffling.
    """
    torch.manual_seed(seed)
    given, outcome = torch.from_numpy(train.measurements), torch.from_numpy(train.outcome)
    held, held_outcome = torch.from_numpy(validation.measurements), torch.from_numpy(validation.outcome)
    network = Perceptron(given.mean(0), given.std(0))
    fitting.keep_best(
        network,
        lambda measurements, ended: nn.functional.cross_entropy(network.logits(measurements), ended),
        (given, outcome),
        (held, held_outcome),
        epochs=EPOCHS,
        highest_rate=_HIGHEST_RATE,
        weight_decay=_WEIGHT_DECAY,
    )
    logits = network.logits(held)
    cooled = minimize_scalar(
        lambda t: float(nn.functional.cross_entropy(logits / t, held_outcome)), bounds=(0.5, 2.0), method="bounded"
    )
    network.temperature.fill_(cooled.x)
    return Network(network)
