"""A simulated game as it happens: its tags stream in, and a line for a broadcast comes out for each thing known."""

import argparse
import asyncio
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import grpc.aio
from rich.console import Console

from deploy.local import suite
from deploy.triton.launcher import TritonError
from ghostback import feed
from ghostback.client import Addresses, Client
from ghostback.play import Play
from ghostback.score.v1 import statistics_service_pb2 as pb
from simulator.game import simulate_game

_FRAME_SECONDS = 0.1
_WATCH_SECONDS = 1.0
_TITLES = {
    pb.MOMENT_PRE_THROW: "",
    pb.MOMENT_AT_THROW: "throw",
    pb.MOMENT_AT_ARRIVAL: "arrival",
    pb.MOMENT_COMPLETE: "over",
    pb.MOMENT_CORRECTED: "corrected",
}


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.live", description=__doc__, epilog="example: python -m demo.live --plays 4 --speed 2"
    )
    parser.add_argument("--plays", type=int, default=8, help="plays of the simulated game (default: 8)")
    parser.add_argument("--seed", type=int, default=7, help="seed of the simulated game (default: 7)")
    parser.add_argument("--speed", type=float, default=1.0, help="1 is as fast as it happens (default: 1)")
    parser.add_argument("--ingest", default="", metavar="HOST:PORT", help="of a suite that runs (default: start one)")
    parser.add_argument("--score", default="", metavar="HOST:PORT", help="likewise")
    parser.add_argument("--triton", type=Path, default=Path(".venv-triton"), help="Triton's virtual environment")
    arguments = parser.parse_args()
    if arguments.speed <= 0 or bool(arguments.ingest) != bool(arguments.score):
        parser.error("--speed must be above 0, and --ingest and --score go together")
    try:
        asyncio.run(_run(arguments))
    except (suite.SuiteError, TritonError, OSError) as error:
        sys.exit(f"error: {error}")
    except grpc.aio.AioRpcError as error:
        sys.exit(f"error: {error.code().name}: {error.details()}")
    except asyncio.CancelledError:
        sys.exit("stopped")


async def _run(arguments: argparse.Namespace) -> None:
    running = asyncio.current_task()
    assert running is not None  # noqa: S101
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    game = simulate_game(arguments.seed, arguments.plays)
    async with AsyncExitStack() as stack:
        addresses = Addresses(ingest=arguments.ingest, score=arguments.score)
        if not arguments.ingest:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            addresses = (await stack.enter_async_context(suite.running(folder, arguments.triton))).addresses
        client = await stack.enter_async_context(Client(addresses))
        await client.update_game(game.game)
        overlay = asyncio.create_task(_overlay(client, game.game.name, game.plays))
        await asyncio.sleep(_WATCH_SECONDS)
        async for _ in feed.stream(client, game.plays, _FRAME_SECONDS, arguments.speed):
            pass
        await overlay


async def _overlay(client: Client, game: str, plays: Sequence[Play]) -> None:
    """Print a line for each thing that is told, until the last play is over."""
    console = Console(highlight=False)
    of = {play.name: play for play in plays}
    last = ""
    async for told in client.watch_statistics(game):
        play = of[told.play]
        if told.play != last:
            last, now = told.play, play.situation
            console.print(
                f"\n[bold]{play.offense_team}[/bold], {now.down} and {now.yards_to_go:g}, quarter {now.quarter},"
                f" {now.game_clock // 60:.0f}:{now.game_clock % 60:02.0f}"
            )
        if told.line:
            console.print(f"{_TITLES.get(told.moment, ''):>10}  {told.line}", soft_wrap=True)
        if told.moment == pb.MOMENT_COMPLETE and play is plays[-1]:
            return


if __name__ == "__main__":
    main()
