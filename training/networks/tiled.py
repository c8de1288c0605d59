"""The paper's networks: five steps observed, ten predicted, and longer passes tiled.

Source: Cheong, Zeng, Tyagi, "Prediction of Defensive Player Trajectories in NFL Games with Defender
CNN-LSTM Model", MIT Sloan Sports Analytics Conference 2021: a simple LSTM as the baseline; a 1D-CNN
for each of defender, receiver and ball (32 filters, several kernel sizes), pooled, concatenated,
repeated into an LSTM of 32 units; the same with social pooling over the other defensive backs, at
most five. Receiver and ball are given over the ten steps too. The two coordinates are predicted
separately or jointly.
"""

import torch
from torch import Tensor, nn

from training.networks.base import (
    DEFENSIVE_BACK,
    HORIZON,
    MAX_STEP,
    OBSERVED,
    STEP_SECONDS,
    SceneNetwork,
    from_there,
    motions,
)

TILE = 10
UNITS = 32
NEIGHBOURS = 5
_POSITION, _SPEED = 10.0, 5.0
_MOTION_SCALE = torch.tensor([_POSITION] * 2 + [_SPEED] * 4 + [1.0] * 2)
_RECEIVER_SCALE = torch.tensor([_POSITION] * 2 + [_SPEED] * 2)
_BALL_SCALE = torch.tensor([_POSITION] * 2 + [1.0])
_LANDMARKS = 8 + 4 + 2 + 2
_STEPWISE = 2 + 3


class Tiled(SceneNetwork):
    """Four tiles of ten steps; each starts from the last five places, observed or predicted.

    Steps are corrections to going on at the present velocity, and none is superhuman. What a tile
    says is up to the `core`: its input has one row for each defender, and places (…, 2) for
    cores that look at the others.
    """

    def __init__(self, core: nn.Module) -> None:
        super().__init__()
        self.core = core

    def forward(self, players: Tensor, roles: Tensor, receiver: Tensor, ball: Tensor) -> Tensor:
        """Displacements: (n, n_defenders, 40, 2) yards."""
        motion = motions(players, self.defenders)
        there, flight = (from_there(track, players, self.defenders) for track in (receiver, ball))
        anchor, is_back = players[:, : self.defenders, -1, :2], roles[:, : self.defenders, DEFENSIVE_BACK]
        path, motion = motion[..., :2], motion[..., 2:]
        tiles = []
        for start in range(0, HORIZON, TILE):
            window = slice(start, start + OBSERVED + TILE)
            origin = path[:, :, -1:]
            ahead = self._tile(
                torch.cat([path - origin, motion], dim=-1) / _MOTION_SCALE,
                torch.cat([there[:, :, window, :2] - origin, there[:, :, window, 2:]], dim=-1) / _RECEIVER_SCALE,
                torch.cat([flight[:, :, window, :2] - origin, flight[:, :, window, 2:]], dim=-1) / _BALL_SCALE,
                anchor + origin[:, :, 0],
                is_back,
            )
            tiles.append(origin + ahead)
            path = tiles[-1][:, :, -OBSERVED:]
            steps = torch.diff(tiles[-1][:, :, -OBSERVED - 2 :], dim=2) / STEP_SECONDS
            velocity = steps[:, :, 1:]
            facing = velocity / velocity.norm(dim=-1, keepdim=True).clamp(min=0.5)
            motion = torch.cat([velocity, torch.diff(steps, dim=2) / STEP_SECONDS, facing], dim=-1)
        return torch.cat(tiles, dim=2)

    def _tile(self, motion: Tensor, receiver: Tensor, ball: Tensor, place: Tensor, is_back: Tensor) -> Tensor:
        """Ten places relative to the last one before: (n, n_defenders, 10, 2) yards."""
        rows = [track.flatten(0, 1) for track in (motion, receiver, ball)]
        correction = self.core(*rows, place, is_back).unflatten(0, motion.shape[:2])
        step = motion[:, :, -1:, 2:4] * _SPEED * STEP_SECONDS + correction * MAX_STEP
        length = step.norm(dim=-1, keepdim=True)
        return torch.cumsum(step * (MAX_STEP / length.clamp(min=MAX_STEP)), dim=2)


class Lstm(nn.Module):
    """One LSTM over the fifteen steps of a tile; the defender is not known in the last ten."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8 + 4 + 3, UNITS, batch_first=True)
        self.head = nn.Linear(UNITS, 2)

    def forward(self, motion: Tensor, receiver: Tensor, ball: Tensor, place: Tensor, is_back: Tensor) -> Tensor:
        """Corrections (rows, 10, 2) in units of the longest step."""
        unknown = motion.new_zeros(1, 1, 1).expand(motion.shape[0], TILE, motion.shape[2])
        states, _ = self.lstm(torch.cat([torch.cat([motion, unknown], dim=1), receiver, ball], dim=2))
        corrections: Tensor = self.head(states[:, OBSERVED:])
        return corrections


class Stream(nn.Module):
    """1D convolutions of several widths over a sequence, pooled over time."""

    def __init__(self, channels: int, filters: int = 32, widths: tuple[int, ...] = (1, 3, 5)) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv1d(channels, filters, width, padding=width // 2) for width in widths)
        self.size = 2 * filters * len(widths)

    def forward(self, sequence: Tensor) -> Tensor:
        """Pool a sequence: (rows, steps, channels) to (rows, size)."""
        channels_first = sequence.transpose(1, 2)
        features = torch.cat([torch.relu(each(channels_first)) for each in self.convolutions], dim=1)
        return torch.cat([features.amax(dim=2), features.mean(dim=2)], dim=1)


class CnnLstm(nn.Module):
    """The Defender CNN-LSTM, for some coordinates, with or without social pooling."""

    def __init__(self, coordinates: int = 2, social: bool = False) -> None:
        super().__init__()
        self.defender, self.receiver, self.ball = Stream(8), Stream(4), Stream(3)
        pooled = self.defender.size + self.receiver.size + self.ball.size + _LANDMARKS
        self.mixed = nn.Sequential(nn.Linear(pooled, 2 * UNITS), nn.ReLU())
        self.social = SocialPooling() if social else None
        self.lstm = nn.LSTM((3 if social else 2) * UNITS + _STEPWISE, UNITS, batch_first=True)
        self.head = nn.Linear(UNITS, coordinates)

    def forward(self, motion: Tensor, receiver: Tensor, ball: Tensor, place: Tensor, is_back: Tensor) -> Tensor:
        """Corrections (rows, 10, coordinates) in units of the longest step."""
        landmarks = torch.cat([motion[:, -1], receiver[:, OBSERVED - 1], receiver[:, -1, :2], ball[:, -1, :2]], dim=1)
        pooled = torch.cat([self.defender(motion), self.receiver(receiver), self.ball(ball), landmarks], dim=1)
        mixed = self.mixed(pooled)
        if self.social is not None:
            mixed = torch.cat([mixed, self.social(mixed, motion[:, -1, 2:4], place, is_back)], dim=1)
        stepwise = torch.cat([receiver[:, OBSERVED:, :2], ball[:, OBSERVED:]], dim=2)
        states, _ = self.lstm(torch.cat([mixed.unsqueeze(1).expand(-1, TILE, -1), stepwise], dim=2))
        corrections: Tensor = self.head(states)
        return corrections


class Separate(nn.Module):
    """A network for each coordinate, as the paper found better."""

    def __init__(self) -> None:
        super().__init__()
        self.along, self.across = CnnLstm(coordinates=1), CnnLstm(coordinates=1)

    def forward(self, motion: Tensor, receiver: Tensor, ball: Tensor, place: Tensor, is_back: Tensor) -> Tensor:
        """Corrections (rows, 10, 2) in units of the longest step."""
        return torch.cat([each(motion, receiver, ball, place, is_back) for each in (self.along, self.across)], dim=2)


class SocialPooling(nn.Module):
    """What the nearest other defensive backs do, pooled: the largest of each feature over at most five of them.

    After Gupta et al., "Social GAN", CVPR 2018, whose pooling takes relative places and hidden states.
    """

    def __init__(self) -> None:
        super().__init__()
        self.embedded = nn.Sequential(nn.Linear(2 * UNITS + 4, UNITS), nn.ReLU(), nn.Linear(UNITS, UNITS))

    def forward(self, mixed: Tensor, velocity: Tensor, place: Tensor, is_back: Tensor) -> Tensor:
        """Pooled features (rows, 32).

        Args:
            mixed: (rows, 64) hidden state of each defender; rows are those of (n, n_defenders).
            velocity: (rows, 2) scaled velocity of each.
            place: (n, n_defenders, 2) yards.
            is_back: (n, n_defenders) 1 for defensive backs.
        """
        n, size = is_back.shape
        away = (place.unsqueeze(1) - place.unsqueeze(2)) / _POSITION
        relative = velocity.reshape(n, size, 2)
        relative = relative.unsqueeze(1) - relative.unsqueeze(2)
        others = is_back.unsqueeze(1) * (1 - torch.eye(size))
        distance = away.norm(dim=-1) + 1e3 * (1 - others)
        nearest, who = distance.topk(min(NEIGHBOURS, size - 1), dim=-1, largest=False)
        states = mixed.reshape(n, 1, size, -1).expand(-1, size, -1, -1)
        seen = torch.cat([away, relative, states], dim=-1)
        seen = seen.gather(2, who.unsqueeze(-1).expand(-1, -1, -1, seen.shape[-1]))
        features: Tensor = self.embedded(seen).masked_fill((nearest > 500).unsqueeze(-1), 0.0)
        return features.amax(dim=2).flatten(0, 1)
