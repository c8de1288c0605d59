"""Run the suite until Ctrl-C."""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.local import suite
from ghostback import feed
from ghostback.client import Client
from simulator.game import simulate_game

SEED = 7


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.local",
        description="Run Triton and the four services on loopback until Ctrl-C.",
        epilog="example: python -m deploy.local --folder .run --json",
    )
    parser.add_argument("--folder", type=Path, default=Path(".run"), help="database, models and logs (default: .run)")
    parser.add_argument("--triton", type=Path, default=Path(".venv-triton"), help="Triton's virtual environment")
    parser.add_argument("--json", action="store_true", help="print the addresses as one line of JSON")
    parser.add_argument(
        "--simulate", type=int, default=0, metavar="PLAYS", help="stream a simulated game of so many plays into ingest"
    )
    arguments = parser.parse_args()
    try:
        asyncio.run(_run(arguments.folder, arguments.triton, arguments.json, arguments.simulate))
    except suite.SuiteError as error:
        sys.exit(f"error: {error}")


async def _run(folder: Path, triton: Path, as_json: bool, plays: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    console = Console()
    async with suite.running(folder, triton) as running:
        game = await _simulate(running, plays) if plays else ""
        _show(console, running, game, as_json)
        stopped, ended = asyncio.create_task(stop.wait()), asyncio.create_task(running.ended())
        await asyncio.wait([stopped, ended], return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            raise suite.SuiteError(f"{ended.result()}\nthe others were stopped")
        ended.cancel()


async def _simulate(running: suite.Suite, plays: int) -> str:
    simulated = simulate_game(SEED, plays)
    async with Client(running.addresses) as client:
        await client.update_game(simulated.game)
        async for _ in feed.stream(client, simulated.plays):
            pass
    return simulated.game.name


def _show(console: Console, running: suite.Suite, game: str, as_json: bool) -> None:
    addresses = {name: getattr(running.addresses, name) for name in ("ingest", "features", "predict", "score")}
    addresses["triton"] = running.triton
    if as_json:
        print(json.dumps({**addresses, "game": game}), flush=True)  # noqa: T201
        return
    table = Table(title="Ghostback is up; Ctrl-C stops it")
    for column in ("service", "gRPC", "metrics"):
        table.add_column(column)
    for name, address in addresses.items():
        table.add_row(name, address, running.metrics[name])
    console.print(table)


if __name__ == "__main__":
    main()
