"""How long the statistics of a season take when they are computed again, by its number of weeks."""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

from deploy.local import suite
from ghostback import importer
from ghostback.client import Client
from ghostback.play import Game, Play
from ghostback.results import Addresses
from simulator.game import simulate_game
from training import cluster, season

WEEKS = (1, 2, 4, 8, 17)


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.season",
        description=__doc__,
        epilog="example: python -m benchmarks.season --plays 20 --weeks 1 2",
    )
    parser.add_argument("--games", type=int, default=1, help="a week (default: 1)")
    parser.add_argument("--plays", type=int, default=40, help="a game (default: 40)")
    parser.add_argument("--weeks", type=int, nargs="+", default=WEEKS, help="default: 1 2 4 8 17")
    parser.add_argument("--scheduler", default="", help="of a Dask cluster (default: a process a core, here)")
    parser.add_argument("--triton", type=Path, default=Path(".venv-triton"), help="Triton's virtual environment")
    arguments = parser.parse_args()
    uvloop.install()
    asyncio.run(_measure(arguments))


async def _measure(arguments: argparse.Namespace) -> None:
    console = Console()
    table = Table(title=f"Statistics of {arguments.games} game(s) a week, computed again on Dask")
    for column in ("weeks", "games", "plays", "s", "plays/s", "s a week", "s again, nothing to do"):
        table.add_column(column, justify="right")
    seconds: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with suite.running(Path(folder) / "suite", arguments.triton, keep_statistics=False) as running:
            async with Client(running.addresses) as client:
                await importer.send(client, _games(max(arguments.weeks), arguments.games, arguments.plays), console)
            workers = len(cluster.client(arguments.scheduler).scheduler_info()["workers"])
            await _timed(Path(folder) / "warm", running.addresses, range(1, 2), arguments.scheduler)
            for weeks in arguments.weeks:
                out, chosen = Path(folder) / str(weeks), range(1, weeks + 1)
                done, seconds[weeks] = await _timed(out, running.addresses, chosen, arguments.scheduler)
                _, again = await _timed(out, running.addresses, chosen, arguments.scheduler)
                plays = sum(each.passes for each in done)
                rates = (f"{plays / seconds[weeks]:.1f}", f"{seconds[weeks] / weeks:.2f}", f"{again:.1f}")
                table.add_row(f"{weeks}", f"{len(done)}", f"{plays:,}", f"{seconds[weeks]:.1f}", *rates)
    console.print(table)
    console.print(f"{workers} worker(s); a play is a pass; both times leave out the start of suite and cluster.")
    result = {
        "plays_per_s": round(plays / seconds[weeks], 2),
        "seconds_by_weeks": {str(weeks): round(spent, 2) for weeks, spent in seconds.items()},
    }
    print(json.dumps(result))  # noqa: T201


def _games(weeks: int, games: int, plays: int) -> Iterator[tuple[Game, Sequence[Play]]]:
    for seed in range(weeks * games):
        simulated = simulate_game(seed, plays)
        yield replace(simulated.game, week=1 + seed // games), simulated.plays


async def _timed(out: Path, addresses: Addresses, weeks: range, scheduler: str) -> tuple[list[season.Done], float]:
    started = time.monotonic()
    done = await asyncio.to_thread(
        season.run, out, addresses, weeks=weeks, scheduler=scheduler, console=Console(quiet=True)
    )
    return done, time.monotonic() - started


if __name__ == "__main__":
    main()
