"""The floor: everybody goes on as he moved at the release."""

import torch
from torch import Tensor

from training.networks.base import HORIZON, MAX_STEP, STEP_SECONDS, SceneNetwork, motions

_FADE_SECONDS = 0.5
_OVER = 3


class ConstantVelocity(SceneNetwork):
    """The velocity at the release is kept, within the speed limit."""

    def forward(self, players: Tensor, roles: Tensor, receiver: Tensor, ball: Tensor) -> Tensor:
        """Displacements: (n, n_defenders, 40, 2) yards."""
        velocity = motions(players, self.defenders)[:, :, -1:, 2:4].expand(-1, -1, HORIZON, -1)
        return run(velocity)


class ConstantAcceleration(SceneNetwork):
    """So is the acceleration over the last steps observed, which fades out as no player keeps it up."""

    def forward(self, players: Tensor, roles: Tensor, receiver: Tensor, ball: Tensor) -> Tensor:
        """Displacements: (n, n_defenders, 40, 2) yards."""
        motion = motions(players, self.defenders)
        acceleration = motion[:, :, -_OVER:, 4:6].mean(dim=2, keepdim=True)
        seconds = STEP_SECONDS * torch.arange(1, HORIZON + 1).reshape(1, 1, -1, 1)
        gained = _FADE_SECONDS * (1 - torch.exp(-seconds / _FADE_SECONDS))
        return run(motion[:, :, -1:, 2:4] + acceleration * gained)


def run(velocity: Tensor) -> Tensor:
    """Displacements at velocities (…, n_steps, 2), none beyond the limit."""
    step = velocity * STEP_SECONDS
    length = step.norm(dim=-1, keepdim=True)
    return torch.cumsum(step * (MAX_STEP / length.clamp(min=MAX_STEP)), dim=-2)
