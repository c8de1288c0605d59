"""Write what ingest has as Parquet: `python -m ghostback.exporter`."""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ghostback import parquet
from ghostback.client import Addresses, Client
from ghostback.play import Game, Play, PlayState

CONCURRENT_PLAYS = 8


@dataclass
class Summary:
    """What was written.

    Attributes:
        games: games with a play that is over.
        plays: plays that are over.
        live: plays left out, as they are not over.
        samples: clean samples.
        quarantined: samples from quarantine.
        files: Parquet files.
        seconds: how long it took.
    """

    games: int = 0
    plays: int = 0
    live: int = 0
    samples: int = 0
    quarantined: int = 0
    files: int = 0
    seconds: float = 0.0


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m ghostback.exporter",
        description="Write plays that are over, their samples and the quarantine as Parquet files, partitioned by "
        "season, week and game. Files of games that are there already are replaced.",
        epilog="example: python -m ghostback.exporter out/season --ingest localhost:50051 --game 2024091500",
    )
    parser.add_argument("folder", type=Path, help="where to write; made if it is not there")
    parser.add_argument("--ingest", required=True, metavar="HOST:PORT", help="where ingest listens")
    parser.add_argument(
        "--game", action="append", default=[], metavar="ID", help="only this game; may be repeated (default: all)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the summary as JSON to standard output, all else to standard error"
    )
    arguments = parser.parse_args()
    console = Console(stderr=arguments.json)
    try:
        summary = asyncio.run(_run(arguments.folder, arguments.ingest, arguments.game, console))
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    except grpc.aio.AioRpcError as error:
        sys.exit(f"error: {arguments.ingest}: {error.code().name}: {error.details()}")
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("stopped; the games written so far are whole")
    if arguments.json:
        print(json.dumps(vars(summary)))  # noqa: T201
    else:
        show(summary, arguments.folder, console)


async def _run(folder: Path, address: str, only: Sequence[str], console: Console) -> Summary:
    async with Client(Addresses(ingest=address)) as client:
        return await write(client, folder, only, console)


async def write(client: Client, folder: Path, only: Sequence[str], console: Console) -> Summary:
    """Write games, and show the progress.

    Args:
        client: asks ingest.
        folder: where to write; made if it is not there.
        only: ids of the games; all of them when empty.
        console: shows the progress.

    Raises:
        ValueError: there is no such game.
        grpc.aio.AioRpcError: ingest failed.
    """
    summary, started = Summary(), time.monotonic()
    columns = (TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    games = [game async for game in client.list_games()]
    unknown = set(only) - {game.game_id for game in games}
    if unknown:
        raise ValueError(f"ingest has no game {', '.join(sorted(unknown))}")
    with Progress(*columns, console=console) as progress:
        for game in games:
            if not only or game.game_id in only:
                await _export(client, game, folder, summary, progress)
    summary.seconds = round(time.monotonic() - started, 2)
    return summary


async def _export(client: Client, game: Game, folder: Path, summary: Summary, progress: Progress) -> None:
    known = [play async for play in client.list_plays(game.name)]
    names = [play.name for play in known if play.state is not PlayState.LIVE]
    summary.live += len(known) - len(names)
    if not names:
        return
    bar = progress.add_task(f"{game.game_id}, plays", total=len(names))
    limit = asyncio.Semaphore(CONCURRENT_PLAYS)

    async def read(name: str) -> Play:
        async with limit:
            play = await client.get_play(name)
            progress.advance(bar)
            return play

    plays = await asyncio.gather(*(read(name) for name in names))
    held = [(play.play_id, *page) for play in plays async for page in client.list_quarantined(play.name)]
    written = await asyncio.to_thread(lambda: parquet.write(folder, game, parquet.tables(plays, held)))
    summary.games += 1
    summary.plays += len(plays)
    summary.samples += sum(len(play.samples) for play in plays)
    summary.quarantined += sum(len(samples) for _, samples, _ in held)
    summary.files += len(written)


def show(summary: Summary, folder: Path, console: Console) -> None:
    """Print a summary."""
    table = Table(title=f"Exported to {folder} in {summary.seconds:.1f} s")
    table.add_column("what")
    table.add_column("number", justify="right")
    rows = {
        "games": summary.games,
        "plays": summary.plays,
        "plays left out, not over": summary.live,
        "samples": summary.samples,
        "samples in quarantine": summary.quarantined,
        "files": summary.files,
    }
    for what, count in rows.items():
        table.add_row(what, f"{count:,}")
    console.print(table)
    console.print(f"in DuckDB: from '{folder}/samples/**/*.parquet'")


if __name__ == "__main__":
    main()
