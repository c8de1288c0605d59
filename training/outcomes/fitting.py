"""Fitting a network to passes."""

from collections.abc import Callable

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

BATCH = 512

Rows = tuple[Tensor, Tensor]
"""What a network is given (n, n_measurements), and what then happened (n,)."""


def keep_best(
    network: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    train: Rows,
    held: Rows,
    *,
    epochs: int,
    highest_rate: float,
    weight_decay: float,
) -> None:
    """Fit a network, keep the epoch with the least loss on what is held back, and freeze it.

    Args:
        network: to fit; its parameters are changed.
        loss: of rows, as the network is then.
        train: to fit to; it is shuffled by torch's own generator.
        held: to choose the epoch by.
        epochs: how many.
        highest_rate: of learning; it rises to this and falls again.
        weight_decay: of AdamW.
    """
    given, happened = train
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=weight_decay)
    batches = -(-len(given) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, highest_rate, epochs * batches)
    best, kept = np.inf, network.state_dict()
    for _ in track(range(epochs), "fitting"):
        for rows in torch.split(torch.randperm(len(given)), BATCH):
            missed = loss(given[rows], happened[rows])
            optimizer.zero_grad()
            missed.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            now = float(loss(*held))
        if now < best:
            best, kept = now, {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(kept)
    network.requires_grad_(False)
