"""Ingest is killed again and again under load: nothing acknowledged is lost, nothing is stored twice."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import grpc.aio
import pytest

from ghostback import feed, wire
from ghostback.client import Addresses, Client
from ghostback.ingest.v1 import ingest_service_pb2 as pb
from ghostback.play import Play, Samples
from simulator.faults import inject_faults
from simulator.game import SimulatedGame, simulate_game
from tests.processes import Server, running

KILLS = 20
SEED = 5

Batches = list[tuple[str, Samples]]


@pytest.fixture(scope="module")
def game() -> SimulatedGame:
    return simulate_game(31, 30)


@pytest.fixture(scope="module")
def plays(game: SimulatedGame) -> list[Play]:
    return [inject_faults(play, SEED) for play in game.plays]


def client_of(server: Server) -> Client:
    return Client(Addresses(*[server.address] * 4), patience=0)


async def send_rosters(client: Client, game: SimulatedGame, plays: list[Play]) -> None:
    await client.update_game(game.game)
    for play in plays:
        await client.update_play(play)


async def stream(client: Client, batches: Batches) -> AsyncIterator[int]:
    """Send the batches that the server does not have; gives the number of those on disk so far."""

    async def sent() -> AsyncIterator[tuple[str, Samples]]:
        for batch in batches:
            yield batch

    async for acknowledged in client.stream_tags(sent(), "season"):
        yield acknowledged.sequence + 1


async def everything(client: Client, plays: list[Play]) -> list[tuple[bytes, bytes, int, dict[str, int]]]:
    """What is stored of each play: its message, its quarantine, and how much of it there is."""
    stored = []
    for play in plays:
        got = await client.ingest.GetPlay(wire.view(pb.GetPlayRequest)(name=play.name))
        request = wire.view(pb.ListQuarantinedSamplesRequest)(parent=play.name)
        quarantine = await client.ingest.ListQuarantinedSamples(request)
        quality = await client.quality_report(play.name)
        stored.append((got.SerializeToString(), quarantine.SerializeToString(), quality.accepted, quality.quarantined))
    return stored


@pytest.mark.parametrize(("database", "replicas"), [("sqlite", 1), ("postgresql", 2)])
async def test_an_ingest_killed_twenty_times_under_load_ends_with_the_same_plays_byte_for_byte(
    request: pytest.FixtureRequest, tmp_path: Path, game: SimulatedGame, plays: list[Play], database: str, replicas: int
) -> None:
    """Where there are two replicas, the client goes from the killed one to the one that lives."""
    batches = [(play.name, part) for play in plays for part in feed.batches(play)]
    async with running("services.ingest", f"--database-url=sqlite:///{tmp_path / 'calm.db'}") as server:
        async with client_of(server) as client:
            await send_rosters(client, game, plays)
            async for _ in stream(client, batches):
                pass
            expected = await everything(client, plays)

    moments = random.Random(SEED)
    flag = f"--database-url={request.getfixturevalue(database)}"
    acknowledged = 0
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as starting:

        def start() -> asyncio.Task[Server]:
            return starting.create_task(stack.enter_async_context(running("services.ingest", flag)))

        servers = deque(start() for _ in range(replicas))
        for kills in range(KILLS):
            server = await servers.popleft()
            async with client_of(server) as client:
                if not kills:
                    await send_rosters(client, game, plays)
                some = batches[: len(batches) - KILLS + kills]  # One at least is left for every kill to come.
                until = acknowledged + moments.randint(1, 2 * (len(batches) - acknowledged) // (KILLS - kills) // 3 + 1)
                before, on_disk = acknowledged, 0
                with suppress(grpc.aio.AioRpcError):
                    async for on_disk in stream(client, some):
                        assert on_disk > before, "an acknowledged batch is asked for again"
                        if on_disk >= until:
                            await asyncio.sleep(moments.uniform(0.0, 0.01))
                            server.process.kill()
                            break
                acknowledged = max(acknowledged, on_disk)
                server.process.kill()
                await server.process.wait()
            servers.append(start())

        async with client_of(await servers.popleft()) as client:
            async for _ in stream(client, batches):
                pass
            assert await everything(client, plays) == expected
