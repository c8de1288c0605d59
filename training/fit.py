"""Fitting a network to scenes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor, nn

from ghostback.play import FIELD_WIDTH
from training.evaluate import squared_deviations
from training.networks.base import SceneNetwork
from training.scenes import Float, Scenes

BATCH = 128
BACKS = 7
"""Defenders that a network is fitted to: the defensive backs lie in the first slots."""
_STEP_WEIGHT = 10.0
_DOUBT_WEIGHT = 0.05


@dataclass(frozen=True, slots=True)
class Options:
    """How something is fitted.

    Attributes:
        epochs: passes over the scenes.
        patience: epochs without a better error on the validation scenes after which fitting stops.
        seed: of shuffling and mirroring.
        checkpoint: file that the state is written to after each epoch, and read from where it is there.
        log: told the number of each epoch, from 1, and its figures.
        show: whether to show progress.
    """

    epochs: int = 12
    patience: int = 4
    seed: int = 1
    checkpoint: Path | None = None
    log: Callable[[int, dict[str, float]], None] | None = None
    show: bool = True


def fit(
    network: SceneNetwork, train: Scenes, validation: Scenes, learning_rate: float, options: Options
) -> list[tuple[float, float]]:
    """Fit a network in place; keeps the weights of the epoch that was best on the validation scenes.

    The loss is the mean squared distance to where the defenders went, over the steps that count,
    and the squared error of each step's move; networks that tell how sure they are also learn
    that, as the likelihood of the misses. Every batch is mirrored across the field at random:
    football has no left and right.

    Args:
        network: takes the tensors of scenes, gives displacements, or those and covariances.
        train: to fit to.
        validation: to choose the epoch by.
        learning_rate: the highest of the one-cycle schedule.
        options: how long, and what of it is kept.

    Returns:
        Training loss and root mean squared distance on the validation scenes, yards, of each epoch.
    """
    epochs, checkpoint = options.epochs, options.checkpoint
    torch.manual_seed(options.seed)
    network.defenders = BACKS
    optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=1e-4)
    batches = -(-len(train) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=epochs * batches)
    history: list[tuple[float, float]] = []
    best = network.state_dict()
    if checkpoint and checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        history, best = [(loss, rmse) for loss, rmse in state["history"]], state["best"]
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
    with Progress(disable=not options.show) as progress:
        bar = progress.add_task("training", total=epochs * batches, completed=len(history) * batches)
        for epoch in range(len(history), epochs):
            if history and _epochs_without_gain(history) >= options.patience:
                progress.update(bar, description=f"stopped after {epoch} epochs")
                break
            shuffle = np.random.default_rng([options.seed, epoch])
            network.train()
            losses = []
            for rows in np.array_split(shuffle.permutation(len(train)), batches):
                loss = _loss(network, mirrored(train.take(rows), shuffle.random(len(rows)) < 0.5))
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                losses.append(loss.item())
                progress.advance(bar)
            rmse = root_mean_square(predict(network, validation)[0], validation)
            if not history or rmse < min(before for _, before in history):
                best = {name: tensor.clone() for name, tensor in network.state_dict().items()}
            history.append((float(np.mean(losses)), rmse))
            progress.update(bar, description=f"training, validation {rmse:.3f} yd")
            if checkpoint:
                _save(checkpoint, network, optimiser, schedule, history, best)
            if options.log:
                options.log(len(history), {"loss": history[-1][0], "validation_rmse": rmse})
    network.load_state_dict(best)
    network.eval()
    return history


def _epochs_without_gain(history: list[tuple[float, float]]) -> int:
    """How many epochs ago the validation error was least."""
    errors = [rmse for _, rmse in history]
    return len(errors) - 1 - errors.index(min(errors))


def predict(network: SceneNetwork, scenes: Scenes) -> tuple[Float, Float | None]:
    """Displacements (n, n_defenders, 40, 2) of the first defenders, and covariances (n, n_defenders, 40, 3)."""
    network.eval()
    parts = []
    with torch.no_grad():
        for rows in np.array_split(np.arange(len(scenes)), len(scenes) // 512 + 1):
            output = network(**tensors(scenes.take(rows)))
            parts.append(output if isinstance(output, tuple) else (output,))
    joined = [torch.cat(each).numpy() for each in zip(*parts, strict=True)]
    return joined[0], joined[1] if len(joined) > 1 else None


def calibrate(network: SceneNetwork, validation: Scenes) -> None:
    """Scale the covariances of a network that tells them, step by step, to the misses on the validation scenes."""
    displacement, covariance = predict(network, validation)
    if covariance is None:
        return
    counts = validation.counts[:, : displacement.shape[1]]
    miss = displacement - validation.displacement[:, : displacement.shape[1]]
    squared = squared_deviations(miss, covariance)
    n = counts.sum(axis=(0, 1))
    scale = np.where(n > 0, (squared * counts).sum(axis=(0, 1)) / (2 * np.maximum(n, 1)), 1.0)
    network.doubt_scale *= torch.from_numpy(scale.astype(np.float32))[:, None]


def root_mean_square(displacement: Float, scenes: Scenes) -> float:
    """Root mean squared distance to where the defenders went over all steps that count, yards."""
    size = displacement.shape[1]
    squared = ((displacement - scenes.displacement[:, :size]) ** 2).sum(axis=-1)
    return float(np.sqrt(squared[scenes.counts[:, :size]].mean()))


def tensors(scenes: Scenes) -> dict[str, Tensor]:
    """What a network is given, by name."""
    return {name: torch.from_numpy(values) for name, values in scenes.inputs.items()}


def _loss(network: SceneNetwork, scenes: Scenes) -> Tensor:
    """Square yards, mean over the steps that count."""
    output = network(**tensors(scenes))
    displacement, covariance = output if isinstance(output, tuple) else (output, None)
    miss = displacement - torch.from_numpy(scenes.displacement[:, :BACKS])
    counts = torch.from_numpy(scenes.counts[:, :BACKS])
    n = counts.sum()
    moves = torch.diff(miss, dim=2, prepend=torch.zeros_like(miss[:, :, :1]))
    loss: Tensor = (((miss**2).sum(dim=-1) + _STEP_WEIGHT * (moves**2).sum(dim=-1)) * counts).sum() / n
    if covariance is not None:
        loss = loss + _DOUBT_WEIGHT * (surprise(miss.detach(), covariance) * counts).sum() / n
    return loss


def surprise(miss: Tensor, covariance: Tensor) -> Tensor:
    """Negative log-likelihood (...), less log 2 pi, of misses (..., 2) that are normal with covariance (..., 3)."""
    xx, xy, yy = covariance.unbind(dim=-1)
    determinant = xx * yy - xy**2
    x, y = miss.unbind(dim=-1)
    return 0.5 * ((yy * x**2 - 2 * xy * x * y + xx * y**2) / determinant + torch.log(determinant))


def mirrored(scenes: Scenes, mirror: NDArray[np.bool_]) -> Scenes:
    """The scenes, those chosen (n,) mirrored across the field."""
    parts = {name: values.copy() for name, values in scenes.inputs.items()}
    for name in ("players", "receiver", "ball"):
        parts[name][mirror, ..., 1] = FIELD_WIDTH - parts[name][mirror, ..., 1]
    parts["players"][mirror, ..., 3::2] *= -1
    parts["players"][mirror] *= parts["roles"][mirror][:, :, None, -1:]
    parts["receiver"][mirror, ..., 3] *= -1
    displacement = scenes.displacement.copy()
    displacement[mirror, ..., 1] *= -1
    return replace(scenes, **parts, displacement=displacement)  # type: ignore[arg-type]


def _save(
    path: Path,
    network: SceneNetwork,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    history: list[tuple[float, float]],
    best: dict[str, Tensor],
) -> None:
    """Write the state aside, then put it in place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    state = {
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "schedule": schedule.state_dict(),
        "history": history,
        "best": best,
    }
    torch.save(state, aside)
    aside.rename(path)
