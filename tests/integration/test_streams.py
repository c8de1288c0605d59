"""How a stream of tags ends when something goes wrong."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import grpc.aio
import pytest

from ghostback.client import Addresses, Client
from ghostback.play import Samples
from simulator.game import simulate_game
from tests.processes import running

SIMULATED = simulate_game(31, 1)
(PLAY,) = SIMULATED.plays


@asynccontextmanager
async def connected(database: str) -> AsyncIterator[Client]:
    """To an ingest that knows the play."""
    async with running("services.ingest", f"--database-url={database}") as server:
        async with Client(Addresses(ingest=server.address)) as client:
            await client.update_game(SIMULATED.game)
            await client.update_play(PLAY)
            yield client


async def batches(n: int, wrong: int) -> AsyncIterator[tuple[str, Samples]]:
    """Batches, one of which is of a play that ingest does not know."""
    for i in range(n):
        yield PLAY.name if i != wrong else "games/0/plays/0", PLAY.samples.take(slice(0, 500))


async def test_the_status_is_the_servers_also_while_the_client_is_writing(sqlite: str) -> None:
    async with (
        running("services.ingest", f"--database-url={sqlite}") as server,
        Client(Addresses(ingest=server.address)) as client,
    ):
        await client.update_game(SIMULATED.game)
        await client.update_play(PLAY)
        for _ in range(30):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                async for _ in client.stream_tags(batches(400, wrong=20)):
                    pass
            assert raised.value.code() is grpc.StatusCode.NOT_FOUND
            assert raised.value.details() == "there is no play games/0/plays/0"


async def test_what_the_batches_raise_is_raised_after_the_acknowledgements(sqlite: str) -> None:
    async def failing() -> AsyncIterator[tuple[str, Samples]]:
        async for batch in batches(3, wrong=-1):
            yield batch
        raise RuntimeError("the feed broke")

    async with (
        running("services.ingest", f"--database-url={sqlite}") as server,
        Client(Addresses(ingest=server.address)) as client,
    ):
        await client.update_game(SIMULATED.game)
        await client.update_play(PLAY)
        acknowledged: list[int] = []
        with pytest.raises(RuntimeError, match="the feed broke"):
            async for acknowledgement in client.stream_tags(failing()):
                acknowledged += [acknowledgement.sequence]
        assert acknowledged == [0, 1, 2]
