"""What all networks have in common: they take the tensors of scenes, and see them from each defender."""

import torch
from torch import Tensor, nn

OBSERVED = 5
HORIZON = 40
STEP_SECONDS = 0.1
DEFENDERS = 11
MAX_STEP = 1.246
"""Longest step that is predicted, yards: a hair below the longest a human makes in 0.1 s, 1.247 (the paper's rule)."""
DEFENSIVE_BACK = 6
"""Place of that role in the tensor `roles`."""


class SceneNetwork(nn.Module):
    """A network that takes the tensors of scenes: players, roles, receiver and ball.

    It gives displacements (n, defenders, 40, 2) yards of the defenders in the first slots, alone or
    with covariances (n, defenders, 40, 3) square yards.

    Attributes:
        made_with: the library that fits it, and its version.
        defenders: how many slots it answers for; fewer are faster.
        doubt_scale: (40, 1) factor of the covariances, for networks that have them.
    """

    made_with: str = f"torch {torch.__version__}"
    defenders: int = DEFENDERS
    doubt_scale: Tensor


def motions(players: Tensor, n_defenders: int) -> Tensor:
    """How the first defenders moved, relative to where they are at the release: (n, n_defenders, 5, 8).

    Position, velocity, acceleration and orientation, in yards and seconds.
    """
    own = players[:, :n_defenders]
    velocity = own[..., 2:4]
    return torch.cat([own[..., :2] - own[:, :, -1:, :2], velocity, _slopes(velocity), own[..., 4:6]], dim=-1)


def from_there(places: Tensor, players: Tensor, n_defenders: int) -> Tensor:
    """A track (n, n_steps, 2 and more) as seen from where each defender is at the release: (n, n_defenders, ...)."""
    anchor = players[:, :n_defenders, -1:, :2]
    track = places.unsqueeze(1).expand(-1, n_defenders, -1, -1)
    return torch.cat([track[..., :2] - anchor, track[..., 2:]], dim=-1)


def _slopes(values: Tensor) -> Tensor:
    """Change a second along the steps (…, n_steps, 2): central differences, one-sided at the ends."""
    inner = (values[..., 2:, :] - values[..., :-2, :]) / 2
    first, last = values[..., 1:2, :] - values[..., :1, :], values[..., -1:, :] - values[..., -2:-1, :]
    return torch.cat([first, inner, last], dim=-2) / STEP_SECONDS
