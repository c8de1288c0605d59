"""The whole suite, started once, with a game in it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.suite import Suite, running
from ghostback import feed
from ghostback.client import Client
from ghostback.play import Play
from simulator.faults import inject_faults
from simulator.game import SimulatedGame, simulate_game

TRITON_ENVIRONMENT = Path(__file__).parents[2] / ".venv-triton"


@dataclass(frozen=True)
class Chain:
    """The running suite, a client, and the game that was streamed into it."""

    suite: Suite
    client: Client
    simulated: SimulatedGame
    sent: tuple[Play, ...]

    @property
    def passes(self) -> list[Play]:
        return [play for play in self.sent if play.forward_pass]

    @property
    def runs(self) -> list[Play]:
        return [play for play in self.sent if not play.forward_pass]


@pytest.fixture(scope="session")
def triton_environment() -> Path:
    return TRITON_ENVIRONMENT


@pytest.fixture(scope="session")
async def chain(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Chain]:
    simulated = simulate_game(11, 12)
    sent = tuple(inject_faults(play, 11) for play in simulated.plays)
    folder = tmp_path_factory.mktemp("suite")
    async with running(folder, TRITON_ENVIRONMENT) as suite, Client(suite.addresses) as client:
        await client.update_game(simulated.game)
        async for _ in feed.stream(client, sent):
            pass
        yield Chain(suite, client, simulated, sent)
