"""Our network: a set transformer over all players and the ball that steers a rollout with bounded acceleration.

Every player and the ball is a token; attention knows how two tokens lie and move relative to each
other, and nothing of their order, so players may come in any. Each defender's token is unrolled
over the steps of the flight into accelerations, which no step lets grow beyond what legs allow,
and into how sure the places are.
"""

import torch
from torch import Tensor, nn

from training.networks.base import DEFENDERS, HORIZON, MAX_STEP, OBSERVED, STEP_SECONDS, SceneNetwork

SIZE, HEADS, LAYERS = 64, 4, 3
MAX_ACCELERATION = 9.0
"""Hardest that the rollout lets anyone speed up, brake or turn, yards per second squared."""
_PLACE, _SPEED = 10.0, 5.0
_FIELD = torch.tensor([120.0, 53.3])
_ROLES = 8
_LEAST_SIGMA = 0.02


class Attention(nn.Module):
    """Attention among tokens, with a bias for how two of them lie to each other."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(size), nn.LayerNorm(size)
        self.query_key_value, self.out = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.feed = nn.Sequential(nn.Linear(size, 2 * size), nn.GELU(), nn.Linear(2 * size, size))

    def forward(self, tokens: Tensor, bias: Tensor) -> Tensor:
        """Tokens (n, n_tokens, size) after a layer.

        Args:
            tokens: the tokens.
            bias: (n, heads, n_tokens, n_tokens), very negative where a token is not there.
        """
        split = self.query_key_value(self.before(tokens)).unflatten(-1, (3, self.heads, -1))
        query, key, value = (each.transpose(1, 2) for each in split.unbind(dim=2))
        weights = torch.softmax(query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5 + bias, dim=-1)
        tokens = tokens + self.out((weights @ value).transpose(1, 2).flatten(2))
        fed: Tensor = tokens + self.feed(self.between(tokens))
        return fed


class SceneTransformer(SceneNetwork):
    """Displacements of all defenders, and their covariances, for any flight up to four seconds."""

    def __init__(self, size: int = SIZE, heads: int = HEADS, layers: int = LAYERS) -> None:
        super().__init__()
        self.player = nn.Sequential(nn.Linear(_PLAYER, size), nn.GELU(), nn.Linear(size, size))
        self.flight = nn.Sequential(nn.Linear(_FLIGHT, size), nn.GELU(), nn.Linear(size, size))
        self.relation = nn.Sequential(nn.Linear(_RELATION, 32), nn.GELU(), nn.Linear(32, layers * heads))
        self.layers = nn.ModuleList(Attention(size, heads) for _ in range(layers))
        self.steady, self.step = nn.Linear(size, size), nn.Linear(_STEP, size)
        self.along = nn.ModuleList(nn.Conv1d(size, size, 5, padding=2) for _ in range(2))
        self.steering, self.doubt = nn.Linear(size, 2), nn.Linear(size, 3)
        self.doubt_scale = nn.Buffer(torch.ones(HORIZON, 1))

    def forward(self, players: Tensor, roles: Tensor, receiver: Tensor, ball: Tensor) -> tuple[Tensor, Tensor]:
        """Displacements (n, n_defenders, 40, 2) yards, and covariances (n, n_defenders, 40, 3) square yards."""
        tokens = self._encoded(players, roles, receiver, ball)
        hidden = self._unrolled(tokens[:, : self.defenders], players, receiver, ball)
        return self._rollout(players, self.steering(hidden)), self._covariance(self.doubt(hidden))

    def _encoded(self, players: Tensor, roles: Tensor, receiver: Tensor, ball: Tensor) -> Tensor:
        """What each token (n, 22 players + the ball, size) knows of the others."""
        place, velocity = players[:, :, -1, :2], players[:, :, -1, 2:4]
        release, landing, air = ball[:, OBSERVED - 1, :2], ball[:, -1, :2], ball[:, OBSERVED - 1, 2]
        target, caught = receiver[:, OBSERVED - 1], receiver[:, -1, :2]
        history = (players[:, :, :-1, :2] - place.unsqueeze(2)).flatten(2)
        to_landing = landing.unsqueeze(1) - place
        distance = to_landing.norm(dim=-1, keepdim=True)
        needed = distance / (air.clamp(min=STEP_SECONDS).reshape(-1, 1, 1) * _PLACE)
        known = torch.cat(
            [
                to_landing / _PLACE,
                to_landing / distance.clamp(min=0.5),
                distance / _PLACE,
                needed.clamp(max=3.0),
                (target[:, :2].unsqueeze(1) - place) / _PLACE,
                (caught.unsqueeze(1) - place) / _PLACE,
                (release.unsqueeze(1) - place) / _PLACE,
                (target[:, 2:].unsqueeze(1) - velocity) / _SPEED,
                place / _FIELD - 0.5,
                history,
                players[..., 2:4].flatten(2) / _SPEED,
                players[..., -1, 4:6],
                air.reshape(-1, 1, 1).expand(-1, place.shape[1], 1),
                roles,
            ],
            dim=-1,
        )
        thrown = torch.cat(
            [
                (landing - release) / _PLACE,
                (target[:, :2] - landing) / _PLACE,
                (caught - landing) / _PLACE,
                target[:, 2:] / _SPEED,
                landing / _FIELD - 0.5,
                air.unsqueeze(1),
                ((receiver[:, OBSERVED + 4 :: 5, :2] - landing.unsqueeze(1)) / _PLACE).flatten(1),
            ],
            dim=-1,
        )
        tokens = torch.cat([self.player(known), self.flight(thrown).unsqueeze(1)], dim=1)
        there = torch.cat([place, landing.unsqueeze(1)], dim=1)
        speed = torch.cat([velocity, ((landing - release) / air.clamp(min=0.1).unsqueeze(1)).unsqueeze(1)], dim=1)
        offense = torch.cat([torch.zeros(DEFENDERS), torch.ones(DEFENDERS), torch.tensor([0.5])])
        present = torch.cat([roles[..., -1], torch.ones_like(roles[:, :1, -1])], dim=1)
        bias = self._related(there, speed, offense) + (present - 1.0).reshape(-1, 1, 1, present.shape[1]) * 1e4
        for layer, own in zip(self.layers, bias.chunk(len(self.layers), dim=1), strict=True):
            tokens = layer(tokens, own)
        return tokens

    def _related(self, place: Tensor, velocity: Tensor, offense: Tensor) -> Tensor:
        """Biases (n, layers x heads, n_tokens, n_tokens) of attention."""
        away = place.unsqueeze(1) - place.unsqueeze(2)
        relative = velocity.unsqueeze(1) - velocity.unsqueeze(2)
        distance = away.norm(dim=-1, keepdim=True)
        same = (1.0 - (offense.unsqueeze(0) - offense.unsqueeze(1)).abs()).expand(away.shape[0], -1, -1).unsqueeze(-1)
        closing = (away * relative).sum(dim=-1, keepdim=True) / distance.clamp(min=1.0)
        seen = torch.cat(
            [away / _PLACE, relative / _SPEED, distance / _PLACE, torch.exp(-distance / 3.0), closing / _SPEED, same],
            -1,
        )
        bias: Tensor = self.relation(seen)
        return bias.permute(0, 3, 1, 2)

    def _unrolled(self, tokens: Tensor, players: Tensor, receiver: Tensor, ball: Tensor) -> Tensor:
        """Hidden states (n, n_defenders, 40, size) along the flight."""
        n_defenders = tokens.shape[1]
        place, velocity = players[:, :n_defenders, -1:, :2], players[:, :n_defenders, -1:, 2:4]
        seconds = STEP_SECONDS * torch.arange(1, HORIZON + 1).reshape(1, 1, -1, 1).expand(*tokens.shape[:2], -1, 1)
        onward = place + velocity * seconds
        flown, run = ball[:, OBSERVED:].unsqueeze(1), receiver[:, OBSERVED:].unsqueeze(1)
        left = flown[..., 2:].expand(-1, n_defenders, -1, -1)
        steps = torch.cat(
            [
                seconds,
                left,
                torch.exp(-left / 0.3),
                (flown[..., :2] - onward) / _PLACE,
                (run[..., :2] - onward) / _PLACE,
                (run[..., 2:] - velocity) / _SPEED,
            ],
            dim=-1,
        )
        hidden: Tensor = (
            nn.functional.gelu(self.steady(tokens).unsqueeze(2) + self.step(steps)).flatten(0, 1).transpose(1, 2)
        )
        for convolution in self.along:
            hidden = hidden + nn.functional.gelu(convolution(hidden))
        return hidden.transpose(1, 2).reshape(-1, n_defenders, HORIZON, hidden.shape[1])

    def _rollout(self, players: Tensor, steering: Tensor) -> Tensor:
        """Displacements under accelerations: no speed-up beyond the limit, and no superhuman step.

        Shortening velocities to the limit brings two of them never farther apart, so it keeps the
        bound on their change.
        """
        acceleration = MAX_ACCELERATION * steering / torch.sqrt(1.0 + (steering**2).sum(dim=-1, keepdim=True))
        gained = torch.cumsum(acceleration, dim=2) * STEP_SECONDS
        step = (players[:, : steering.shape[1], -1:, 2:4] + gained) * STEP_SECONDS
        length = step.norm(dim=-1, keepdim=True)
        return torch.cumsum(step * (MAX_STEP / length.clamp(min=MAX_STEP)), dim=2)

    def _covariance(self, doubt: Tensor) -> Tensor:
        """Variances and covariance (…, 3): xx, xy, yy."""
        sigma = nn.functional.softplus(doubt[..., :2]) + _LEAST_SIGMA
        correlation = 0.95 * torch.tanh(doubt[..., 2:])
        xx, yy = sigma[..., :1] ** 2, sigma[..., 1:] ** 2
        return torch.cat([xx, correlation * sigma[..., :1] * sigma[..., 1:], yy], dim=-1) * self.doubt_scale


_PLAYER = 2 + 2 + 1 + 1 + 2 + 2 + 2 + 2 + 2 + 2 * (OBSERVED - 1) + 2 * OBSERVED + 2 + 1 + _ROLES
_FLIGHT = 2 + 2 + 2 + 2 + 2 + 1 + 2 * (HORIZON // 5)
_RELATION = 2 + 2 + 1 + 1 + 1 + 1
_STEP = 1 + 1 + 1 + 2 + 2 + 2
