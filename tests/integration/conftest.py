"""The whole suite, started once, with a game in it."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ghostback import feed
from ghostback.client import Client
from ghostback.play import Play
from ghostback.testing import RunningSuite, running_suite
from simulator.faults import inject_faults
from simulator.game import SimulatedGame, simulate_game

TRITON_ENVIRONMENT = Path(__file__).parents[2] / ".venv-triton"


@dataclass(frozen=True)
class Chain:
    """The running suite, a client, and the game that was streamed into it."""

    suite: RunningSuite
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
def ghostback_suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSuite]:
    """In place of the plugin's: without a game, for a game with faults is streamed into it."""
    with running_suite(tmp_path_factory.mktemp("suite"), plays=0) as suite:
        yield suite


@pytest.fixture(scope="session")
async def chain(ghostback_suite: RunningSuite) -> AsyncIterator[Chain]:
    simulated = simulate_game(11, 12)
    sent = tuple(inject_faults(play, 11) for play in simulated.plays)
    async with Client(ghostback_suite.addresses) as client:
        await client.update_game(simulated.game)
        async for _ in feed.stream(client, sent):
            pass
        yield Chain(ghostback_suite, client, simulated, sent)
