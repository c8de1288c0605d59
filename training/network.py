"""The Defender CNN-LSTM of the paper, with its tiles unrolled inside.

Source: Cheong, Zeng, Tyagi, "Prediction of Defensive Player Trajectories in NFL Games with Defender
CNN-LSTM Model", MIT Sloan Sports Analytics Conference 2021: five steps observed, ten predicted; a
1D-CNN for each of defender, receiver and ball (32 filters, several kernel sizes), pooled,
concatenated, repeated into an LSTM of 32 units; longer passes tiled. Receiver and ball are given
over the ten steps too.
"""

import torch
from torch import Tensor, nn

OBSERVED = 5
TILE = 10
TILES = 4
STEP_SECONDS = 0.1
POSITION_SCALE = 10.0
MAX_STEP = 1.247
"""Longest step a human makes in 0.1 s, yards (the paper's cleaning rule)."""


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


class DefenderCnnLstm(nn.Module):
    """Displacements of defenders over 40 steps, in four tiles of ten.

    Input tensors are those of the feature set `ghosting-kinematics@1`. Each tile takes the last five
    positions, observed or predicted, moves the origin to the last of them, and predicts ten
    accelerations-like corrections to going on at the present velocity.
    """

    def __init__(self, units: int = 32) -> None:
        super().__init__()
        self.defender = Stream(8)
        self.receiver = Stream(4)
        self.ball = Stream(3)
        self.mixed = nn.Sequential(
            nn.Linear(self.defender.size + self.receiver.size + self.ball.size + _LANDMARKS, 2 * units), nn.ReLU()
        )
        self.lstm = nn.LSTM(2 * units + _STEPWISE, units, batch_first=True)
        self.head = nn.Linear(units, 2)

    def forward(self, defender: Tensor, receiver: Tensor, ball: Tensor) -> Tensor:
        """Displacements from the anchor: (rows, 40, 2) yards, offense toward +x.

        Args:
            defender: (rows, 5, 8) position, velocity, acceleration, orientation.
            receiver: (rows, 45, 4) position and velocity.
            ball: (rows, 45, 3) position and time to arrival.
        """
        path, velocity, facing = defender[:, :, :2], defender[:, :, 2:4], defender[:, :, 6:8]
        acceleration = defender[:, :, 4:6]
        tiles = []
        for tile in range(TILES):
            window = slice(tile * TILE, tile * TILE + OBSERVED + TILE)
            origin = path[:, -1:]
            motion = torch.cat([path - origin, velocity, acceleration, facing], dim=2)
            there = torch.cat([receiver[:, window, :2] - origin, receiver[:, window, 2:]], dim=2)
            flight = torch.cat([ball[:, window, :2] - origin, ball[:, window, 2:]], dim=2)
            ahead = origin + self._tile(motion, there, flight)
            tiles.append(ahead)
            path = ahead[:, -OBSERVED:]
            steps = torch.diff(ahead[:, -OBSERVED - 2 :], dim=1) / STEP_SECONDS
            velocity = steps[:, 1:]
            acceleration = torch.diff(steps, dim=1) / STEP_SECONDS
            facing = velocity / velocity.norm(dim=2, keepdim=True).clamp(min=0.5)
        return torch.cat(tiles, dim=1)

    def _tile(self, motion: Tensor, receiver: Tensor, ball: Tensor) -> Tensor:
        """Ten places relative to the last observed one: (rows, 10, 2) yards."""
        motion, receiver, ball = motion / _MOTION_SCALE, receiver / _RECEIVER_SCALE, ball / _BALL_SCALE
        landmarks = torch.cat([motion[:, -1], receiver[:, OBSERVED - 1], receiver[:, -1, :2], ball[:, -1, :2]], dim=1)
        pooled = torch.cat([self.defender(motion), self.receiver(receiver), self.ball(ball), landmarks], dim=1)
        repeated = self.mixed(pooled).unsqueeze(1).expand(-1, TILE, -1)
        stepwise = torch.cat([receiver[:, OBSERVED:, :2], ball[:, OBSERVED:]], dim=2)
        states, _ = self.lstm(torch.cat([repeated, stepwise], dim=2))
        onward = motion[:, -1:, 2:4] * SPEED_SCALE * STEP_SECONDS
        step = onward + self.head(states) * MAX_STEP
        length = step.norm(dim=2, keepdim=True)
        return torch.cumsum(step * (MAX_STEP / length.clamp(min=MAX_STEP)), dim=1)


SPEED_SCALE = 5.0
_LANDMARKS = 8 + 4 + 2 + 2
_STEPWISE = 2 + 3
_MOTION_SCALE = torch.tensor([POSITION_SCALE] * 2 + [SPEED_SCALE] * 2 + [SPEED_SCALE] * 2 + [1.0] * 2)
_RECEIVER_SCALE = torch.tensor([POSITION_SCALE] * 2 + [SPEED_SCALE] * 2)
_BALL_SCALE = torch.tensor([POSITION_SCALE] * 2 + [1.0])
