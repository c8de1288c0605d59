"""Gradient-boosted trees for each step: how far a defender will be from where his velocity would take him.

Plain features of each defender come from the tensors of scenes without anything learnt; LightGBM's trees
predict the departure from constant velocity at some steps of the flight; the steps between are interpolated.
"""

import lightgbm
import numpy as np
import torch
from torch import Tensor, nn

from training.networks.base import (
    DEFENDERS,
    DEFENSIVE_BACK,
    HORIZON,
    OBSERVED,
    STEP_SECONDS,
    SceneNetwork,
    from_there,
    motions,
)
from training.networks.physics import run

KNOTS = (*range(1, 11), 12, 15, 20, 25, 30, 40)
"""Steps that have trees."""
_TARGET, _PRESENT = 3, 7
_NEIGHBOURS = 2
_FAR = 1e3
_GRID = 1024.0


class DefenderFeatures(nn.Module):
    """What the trees are told of each defender.

    Trees jump where a feature passes a threshold, so features must be the same to the last bit wherever they
    are computed: all comes of operations on single numbers, which have one right result, and is rounded to
    1/1024, which makes thresholds exact in single precision too.
    """

    def __init__(self, defenders: int = DEFENDERS) -> None:
        super().__init__()
        self.defenders = defenders

    def forward(self, players: Tensor, roles: Tensor, receiver: Tensor, ball: Tensor) -> tuple[Tensor, Tensor]:
        """Features (n x n_defenders, n_features), and velocities (n x n_defenders, 2) at the release."""
        size = self.defenders
        now, landing = players[:, :, -1, :4], ball[:, -1:, :2]
        defense, offense = now[:, :DEFENDERS], now[:, DEFENDERS:]
        own, motion = now[:, :size], motions(players, size)
        velocity = own[..., 2:]
        path, flight = from_there(receiver, players, size), from_there(ball, players, size)
        to_landing, seconds = flight[:, :, -1, :2], flight[:, :, OBSERVED - 1, 2:]
        distance = _length(to_landing)
        toward = to_landing / distance.clamp(min=0.5)
        target, caught = path[:, :, OBSERVED - 1], path[:, :, -1, :2]
        steps = torch.tensor(KNOTS)
        ahead = path[:, :, OBSERVED - 1 + steps, :2] - velocity.unsqueeze(2) * (STEP_SECONDS * steps).unsqueeze(1)
        is_back = roles[:, :DEFENDERS, DEFENSIVE_BACK].unsqueeze(1) * (1 - torch.eye(DEFENDERS)[:size])
        is_other = (roles[:, DEFENDERS:, _PRESENT] - roles[:, DEFENDERS:, _TARGET]).unsqueeze(1).expand(-1, size, -1)
        cover = _length(defense[..., :2] - landing).squeeze(-1).unsqueeze(1) + _FAR * (1 - is_back)
        seen = torch.cat(
            [
                own,
                _length(velocity),
                motion[:, :, -1, 4:],
                motion[:, :, :-1, :4].flatten(2),
                seconds,
                to_landing,
                distance,
                distance / seconds.clamp(min=STEP_SECONDS),
                velocity[..., :1] * toward[..., :1] + velocity[..., 1:] * toward[..., 1:],
                to_landing - velocity * seconds,
                flight[:, :, OBSERVED - 1, :2],
                target,
                _length(target),
                target[..., 2:] - velocity,
                caught,
                caught - to_landing,
                ahead.flatten(2),
                cover.amin(dim=-1, keepdim=True) - distance,
                _nearest(own, defense, is_back),
                _nearest(own, offense, is_other),
                roles[:, :size],
            ],
            dim=-1,
        )
        return (torch.round(seen * _GRID) / _GRID).flatten(0, 1), velocity.flatten(0, 1)


class DeparturesAdded(nn.Module):
    """From departures at the knots to displacements at all steps, none of them superhuman."""

    def __init__(self, knots: tuple[int, ...], defenders: int = DEFENDERS) -> None:
        super().__init__()
        self.defenders = defenders
        steps = np.arange(1, HORIZON + 1)
        shares = [np.interp(steps, (0, *knots), one) for one in np.eye(len(knots) + 1)[1:]]
        self.shares = nn.Buffer(torch.tensor(np.array(shares), dtype=torch.float32))

    def forward(self, departures: Tensor, velocity: Tensor) -> Tensor:
        """Displacements (n, n_defenders, 40, 2) yards.

        Args:
            departures: (n x n_defenders, n_knots x 2) yards.
            velocity: (n x n_defenders, 2) yards a second.
        """
        between = torch.einsum("rkc,ks->rsc", departures.reshape(-1, len(self.shares), 2), self.shares)
        moves = torch.cat([between[:, :1], between[:, 1:] - between[:, :-1]], dim=1)
        places = run(velocity.unsqueeze(1) + moves / STEP_SECONDS)
        return places.reshape(-1, self.defenders, HORIZON, 2)


class StepTrees(SceneNetwork):
    """Trees for both coordinates at each knot.

    Attributes:
        trees: boosters for x and y, by knot.
    """

    made_with = f"lightgbm {lightgbm.__version__}"

    def __init__(self) -> None:
        super().__init__()
        self.trees: dict[int, tuple[lightgbm.Booster, lightgbm.Booster]] = {}

    def forward(self, players: Tensor, roles: Tensor, receiver: Tensor, ball: Tensor) -> Tensor:
        """Displacements: (n, n_defenders, 40, 2) yards."""
        features, velocity = DefenderFeatures(self.defenders)(players, roles, receiver, ball)
        rows = features.numpy()
        departures = [np.asarray(booster.predict(rows)) for pair in self.trees.values() for booster in pair]
        known = torch.from_numpy(np.stack(departures, axis=1).astype(np.float32))
        displacement: Tensor = DeparturesAdded(tuple(self.trees), self.defenders)(known, velocity)
        return displacement


def _length(vectors: Tensor) -> Tensor:
    """Length of the first two components: (..., 1)."""
    x, y = vectors[..., :1], vectors[..., 1:2]
    return torch.sqrt(x * x + y * y)


def _nearest(own: Tensor, them: Tensor, counts: Tensor) -> Tensor:
    """Relative place and velocity of the nearest few: (n, n_defenders, 2 x 4).

    Args:
        own: (n, n_defenders, 4) place and velocity.
        them: (n, 11, 4) likewise.
        counts: (n, n_defenders, 11) 1 for those who may be one of the nearest.
    """
    away = them.unsqueeze(1) - own.unsqueeze(2)
    distance = _length(away).squeeze(-1) + _FAR * (1 - counts)
    _, who = distance.topk(_NEIGHBOURS, dim=-1, largest=False)
    return away.gather(2, who.unsqueeze(-1).expand(-1, -1, -1, 4)).flatten(2)
