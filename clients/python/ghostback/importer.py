"""Send Big Data Bowl files to ingest: `python -m ghostback.importer`."""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import grpc.aio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ghostback import bigdatabowl, feed
from ghostback.bigdatabowl.angles import AngleCheck
from ghostback.client import Addresses, Client
from ghostback.play import Game, Play, PlayState

BATCH_SECONDS = 20.0
CONCURRENT_PLAYS = 16
_REFUSALS = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.OUT_OF_RANGE)


@dataclass
class Summary:
    """What came of an import.

    Attributes:
        games: games read.
        plays: plays sent.
        already_there: plays that were complete on the server and were not sent again.
        samples: samples sent.
        accepted: samples stored as clean.
        duplicates: samples that were there already.
        quarantined: samples put into quarantine, by reason.
        refused: plays that the server refused, with the reason.
        warnings: what is strange about the files.
        seconds: how long it took.
    """

    games: int = 0
    plays: int = 0
    already_there: int = 0
    samples: int = 0
    accepted: int = 0
    duplicates: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    refused: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m ghostback.importer",
        description="Send Big Data Bowl files of any year from 2019 to 2026, CSV or Parquet, to ingest. "
        "Plays that are complete there are not sent again, so an import that was interrupted goes on when repeated.",
        epilog="example: python -m ghostback.importer zip://::nfl-big-data-bowl-2024.zip --ingest localhost:50051",
    )
    parser.add_argument("source", help="folder of the files, or its fsspec URL")
    parser.add_argument("--ingest", required=True, metavar="HOST:PORT", help="where ingest listens")
    parser.add_argument(
        "--json", action="store_true", help="print the summary as JSON to standard output, all else to standard error"
    )
    arguments = parser.parse_args()
    console = Console(stderr=arguments.json)
    try:
        summary = asyncio.run(_run(arguments.source, arguments.ingest, console))
    except (bigdatabowl.BigDataBowlError, OSError) as error:
        sys.exit(f"error: {error}")
    except grpc.aio.AioRpcError as error:
        sys.exit(f"error: {arguments.ingest}: {error.code().name}: {error.details()}; repeat the command to go on")
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("stopped; repeat the command to go on")
    if arguments.json:
        print(json.dumps(vars(summary)))  # noqa: T201
    else:
        show(summary, console)
    if summary.refused:
        sys.exit(1)


async def _run(source: str, address: str, console: Console) -> Summary:
    async with Client(Addresses(ingest=address)) as client:
        return await send(client, bigdatabowl.read(source), console)


async def send(client: Client, games: Iterator[tuple[Game, Sequence[Play]]], console: Console) -> Summary:
    """Send games to ingest, and show the progress; the next game is read while one is sent.

    Raises:
        grpc.aio.AioRpcError: ingest failed; what it refuses is in the summary.
    """
    summary, started = Summary(), time.monotonic()
    check = AngleCheck()
    columns = (TextColumn("{task.description:32}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        upcoming = asyncio.create_task(asyncio.to_thread(next, games, None))
        while found := await upcoming:
            upcoming = asyncio.create_task(asyncio.to_thread(next, games, None))
            game, plays = found
            for play in plays:
                check.add(play)
            await _send(client, game, plays, summary, progress)
    summary.warnings = check.warnings()
    summary.seconds = round(time.monotonic() - started, 2)
    return summary


async def _send(client: Client, game: Game, plays: Sequence[Play], summary: Summary, progress: Progress) -> None:
    title = f"{game.game_id} {game.away_team} at {game.home_team}, plays"
    await client.update_game(game)
    complete = {play.name async for play in client.list_plays(game.name) if play.state is not PlayState.LIVE}
    there = sum(play.name in complete for play in plays)
    bar = progress.add_task(title, total=len(plays), completed=there)
    limit = asyncio.Semaphore(CONCURRENT_PLAYS)

    async def send(play: Play) -> None:
        async with limit:
            try:
                async for acknowledged in feed.stream(client, [play], BATCH_SECONDS):
                    summary.accepted += acknowledged.accepted
                    summary.duplicates += acknowledged.duplicates
                    summary.quarantined.update(acknowledged.quarantined)
            except grpc.aio.AioRpcError as error:
                if error.code() not in _REFUSALS:
                    raise
                summary.refused[play.name] = error.details() or error.code().name
            else:
                summary.plays += 1
                summary.samples += len(play.samples)
            progress.advance(bar)

    await asyncio.gather(*(send(play) for play in plays if play.name not in complete))
    summary.games += 1
    summary.already_there += there


def show(summary: Summary, console: Console) -> None:
    """Print a summary."""
    table = Table(title=f"Imported in {summary.seconds:.1f} s")
    table.add_column("what")
    table.add_column("number", justify="right")
    rows = {
        "games": summary.games,
        "plays sent": summary.plays,
        "plays that were there already": summary.already_there,
        "plays refused": len(summary.refused),
        "samples sent": summary.samples,
        "samples accepted": summary.accepted,
        "samples there already, dropped": summary.duplicates,
        **{f"samples in quarantine, {reason}": count for reason, count in sorted(summary.quarantined.items())},
    }
    for what, count in rows.items():
        table.add_row(what, f"{count:,}")
    console.print(table)
    for name, reason in summary.refused.items():
        console.print(f"refused: {name}: {reason}")
    for warning in summary.warnings:
        console.print(f"warning: {warning}")


if __name__ == "__main__":
    main()
