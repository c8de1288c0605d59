"""Two processes of each service are called in turn, by clients and by each other."""

import asyncio
import re
import urllib.request
from contextlib import AsyncExitStack
from pathlib import Path

from deploy.triton import launcher
from ghostback import feed
from ghostback.client import Addresses, Client
from simulator.game import simulate_game
from tests.integration.conftest import TRITON_ENVIRONMENT
from tests.processes import Server, running

CALLS = 8


def calls(server: Server, method: str) -> int:
    """How many calls of a method a server answered."""
    with urllib.request.urlopen(server.metrics) as page:
        found = re.search(rf'grpc_calls_total\{{code="OK",method="[^"]*/{method}"\}} (\d+)', page.read().decode())
    return int(found[1]) if found else 0


async def test_calls_are_spread_over_two_processes_of_each_service(postgresql: str, tmp_path: Path) -> None:
    repository = tmp_path / "models"
    repository.mkdir()
    game = simulate_game(9, 4)
    play = next(play for play in game.plays if play.forward_pass)
    async with AsyncExitStack() as stack:
        triton = await stack.enter_async_context(
            launcher.running(TRITON_ENVIRONMENT, repository, tmp_path / "triton.log")
        )

        async def two(service: str, *flags: str) -> list[Server]:
            started = (stack.enter_async_context(running(f"services.{service}", *flags)) for _ in range(2))
            return await asyncio.gather(*started)

        def both(servers: list[Server]) -> str:
            return "ipv4:" + ",".join(server.address for server in servers)

        ingest = await two("ingest", f"--database-url={postgresql}")
        features = await two("features", f"--ingest={both(ingest)}")
        predict = await two(
            "predict",
            f"--features={both(features)}",
            f"--triton={triton.ports.grpc_address}",
            f"--model-repository={repository}",
        )
        score = await two("score", f"--ingest={both(ingest)}", f"--predict={both(predict)}")
        addresses = Addresses(both(ingest), both(features), both(predict), both(score))
        client = await stack.enter_async_context(Client(addresses))
        await client.update_game(game.game)
        async for _ in feed.stream(client, game.plays):
            pass
        for _ in range(CALLS):
            await client.predict_ghosts(play.name)
            await client.score_actual(play.name)
        async with asyncio.timeout(10):
            for servers, method in (
                (ingest, "GetPlay"),
                (features, "ComputeFeatures"),
                (predict, "PredictGhosts"),
                (score, "ScorePlay"),
            ):
                while sum(calls(server, method) for server in servers) < CALLS:
                    await asyncio.sleep(0.05)
                assert all(calls(server, method) >= CALLS // 4 for server in servers), method
