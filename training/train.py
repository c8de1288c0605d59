"""Fitting the network."""

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor, nn

from training.dataset import Rows
from training.network import DefenderCnnLstm

BATCH = 512


def fit(
    network: DefenderCnnLstm, train: Rows, validation: Rows, epochs: int, seed: int, learning_rate: float = 2e-3
) -> list[tuple[float, float]]:
    """Fit a network in place to the rows; keeps the weights of the epoch that was best on the validation rows.

    The loss is the mean squared distance to where the defender went, over the steps while the ball is
    in the air. Every batch is mirrored across the field at random: football has no left and right.

    Returns:
        Training loss, square yards, and mean distance on the validation rows, yards, of each epoch.
    """
    torch.manual_seed(seed)
    shuffle = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=1e-4)
    batches = len(train) // BATCH + 1
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=epochs * batches)
    history: list[tuple[float, float]] = []
    best, best_weights = float("inf"), network.state_dict()
    with Progress() as progress:
        bar = progress.add_task("training", total=epochs * batches)
        for _ in range(epochs):
            network.train()
            losses = []
            for rows in np.array_split(shuffle.permutation(len(train)), batches):
                loss = _loss(network, _mirrored(train.take(rows), shuffle))
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                losses.append(loss.item())
                progress.advance(bar)
            history.append((float(np.mean(losses)), mean_distance(network, validation)))
            progress.update(bar, description=f"training, validation {history[-1][1]:.3f} yd")
            if history[-1][1] < best:
                best = history[-1][1]
                best_weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict(best_weights)
    network.eval()
    return history


def mean_distance(network: DefenderCnnLstm, rows: Rows) -> float:
    """Mean distance to where the defenders went while the ball was in the air, yards."""
    distance = np.linalg.norm(predict(network, rows) - rows.displacement, axis=-1)
    return float(distance[rows.in_air].mean())


def predict(network: DefenderCnnLstm, rows: Rows) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    """Displacements of every row: (n_rows, 40, 2) yards."""
    network.eval()
    with torch.no_grad():
        parts = [
            network(*_tensors(rows.take(part))).numpy()
            for part in np.array_split(np.arange(len(rows)), len(rows) // 4096 + 1)
        ]
    return np.concatenate(parts)


def _tensors(rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
    return torch.from_numpy(rows.defender), torch.from_numpy(rows.receiver), torch.from_numpy(rows.ball)


def _loss(network: DefenderCnnLstm, rows: Rows) -> Tensor:
    """Mean over steps in the air of the squared distance, square yards."""
    miss = network(*_tensors(rows)) - torch.from_numpy(rows.displacement)
    in_air = torch.from_numpy(rows.in_air)
    loss: Tensor = ((miss**2).sum(dim=-1) * in_air).sum() / in_air.sum()
    return loss


def _mirrored(rows: Rows, random: np.random.Generator) -> Rows:
    """The rows, a random half of them mirrored across the field."""
    sign = np.where(random.random(len(rows)) < 0.5, -1.0, 1.0).astype(np.float32)[:, None]
    defender, receiver, ball = rows.defender.copy(), rows.receiver.copy(), rows.ball.copy()
    displacement = rows.displacement.copy()
    for channel in (1, 3, 5, 7):
        defender[:, :, channel] *= sign
    for channel in (1, 3):
        receiver[:, :, channel] *= sign
    ball[:, :, 1] *= sign
    displacement[:, :, 1] *= sign
    return Rows(defender, receiver, ball, displacement, rows.air_steps, rows.what_if)
