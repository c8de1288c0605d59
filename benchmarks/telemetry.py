"""What traces cost PredictGhosts: a suite that records none, one that records 1% and one that records all, in turns."""

import argparse
import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.collector import collecting
from benchmarks.loops import closed
from deploy.local import suite
from ghostback import feed
from ghostback.client import Client
from simulator.game import simulate_game

RATIOS = {"none": "", "1%": "0.01", "100%": "1"}
IN_FLIGHT, WARM_UP = 4, 40


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.telemetry",
        description=__doc__,
        epilog="example: python -m benchmarks.telemetry --seconds 2 --rounds 3",
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="of each in a round (default: 3)")
    parser.add_argument("--rounds", type=int, default=8, help="rounds, in which all take turns (default: 8)")
    parser.add_argument("--triton", type=Path, default=Path(".venv-triton"), help="Triton's virtual environment")
    arguments = parser.parse_args()
    uvloop.install()
    times = asyncio.run(_measure(arguments.seconds, arguments.rounds, arguments.triton))
    rates = {name: len(each) / (arguments.seconds * arguments.rounds) for name, each in times.items()}
    table = Table(title=f"PredictGhosts, {IN_FLIGHT} calls in flight, by the share of traces that is recorded")
    for column in ("recorded", "p50 ms", "p99 ms", "calls/s", "of none's"):
        table.add_column(column, justify="right")
    for name, each in times.items():
        p50, p99 = np.percentile(each, [50, 99])
        table.add_row(name, f"{p50:.1f}", f"{p99:.1f}", f"{rates[name]:.0f}", f"{rates[name] / rates['none']:.1%}")
    Console().print(table)
    figures = {
        "throughput_ratio_1pct": rates["1%"] / rates["none"],
        "throughput_ratio_100pct": rates["100%"] / rates["none"],
        "calls_per_s": rates,
    }
    print(json.dumps(figures))  # noqa: T201


async def _measure(seconds: float, rounds: int, triton: Path) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in RATIOS}
    async with AsyncExitStack() as stack:
        endpoint = stack.enter_context(collecting()).endpoint
        clients = {
            name: await stack.enter_async_context(_suite(endpoint, ratio, triton)) for name, ratio in RATIOS.items()
        }
        for _ in range(rounds):
            for name, (client, play) in clients.items():
                times[name] += await closed(partial(client.predict_ghosts, play), IN_FLIGHT, seconds)
    return times


@asynccontextmanager
async def _suite(endpoint: str, ratio: str, triton: Path) -> AsyncIterator[tuple[Client, str]]:
    """A client of a suite with a pass in it, and the pass."""
    variables = {"GHOSTBACK_OTLP_ENDPOINT": endpoint, "GHOSTBACK_TRACE_SAMPLE_RATIO": ratio} if ratio else {}
    game = simulate_game(1, 4)
    play = next(play for play in game.plays if play.forward_pass)
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, variables):
        async with (
            suite.running(Path(folder), triton, keep_statistics=False) as running,
            Client(running.addresses) as client,
        ):
            await client.update_game(game.game)
            async for _ in feed.stream(client, game.plays):
                pass
            for _ in range(WARM_UP):
                await client.predict_ghosts(play.name)
            yield client, play.name


if __name__ == "__main__":
    main()
