"""A live play at an ingest of its own, for fault tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from ghostback.client import Addresses, Client
from ghostback.play import PlayState
from simulator.game import simulate_game
from tests.processes import Server, running

SIMULATED = simulate_game(61, 1)
PLAY = replace(SIMULATED.plays[0], state=PlayState.LIVE)


@asynccontextmanager
async def ingest(database: str, *flags: str) -> AsyncIterator[tuple[Server, Client]]:
    """With a game and a live play in it."""
    async with running("services.ingest", f"--database-url={database}", *flags) as server:
        async with Client(Addresses(ingest=server.address)) as client:
            await client.update_game(SIMULATED.game)
            await client.update_play(PLAY)
            yield server, client
