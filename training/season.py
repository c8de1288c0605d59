"""Compute the statistics of whole seasons again: `python -m training.season out/statistics`."""

import argparse
import asyncio
import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import polars as pl
from distributed import as_completed
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ghostback import parquet, wire
from ghostback.cli import suite
from ghostback.cli.failures import CommandError, told
from ghostback.client import Addresses, Client
from ghostback.ingest.v1 import ingest_service_pb2
from ghostback.play import Play, PlayState, game_name
from ghostback.predict.v1 import predict_service_pb2
from ghostback.score.v1 import statistics_service_pb2 as pb
from ghostback.tracking.v1 import play_pb2
from services.score.leaderboards import SCALE
from training import cluster

SCHEMA = pl.Schema(
    {
        "play": pl.String(),
        "revision": pl.UInt32(),
        "kind": pl.String(),
        "participant_id": pl.String(),
        "display_name": pl.String(),
        "team_id": pl.String(),
        "position": pl.String(),
        "value": pl.Float64(),
        "actual": pl.Float64(),
        "expected": pl.Float64(),
        "model_versions": pl.List(pl.String()),
    }
)
"""Columns of the files, as fields of `ghostback.score.v1.Statistic`; values are rounded as score keeps them."""
_AT_A_TIME = 4
"""Passes of a game that are asked for at once."""
_WITHOUT = {grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT}
"""How a pass is answered for that has no statistics."""
_PARTITION = re.compile(r"season=(\d+)/week=(\d+)/game=(.+)")


@dataclass(frozen=True, slots=True)
class Job:
    """What is computed, by whom, and where it goes.

    Attributes:
        out: folder, of this machine or one that all workers share.
        addresses: of the suite.
        data: export that plays are read from, likewise; None to have them looked up in ingest.
        models: resource names of the model versions in service.
    """

    out: Path
    addresses: Addresses
    data: Path | None
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a game: its file, whether it was made now, its passes and their statistics."""

    path: Path
    made: bool
    passes: int
    statistics: int


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m training.season",
        description="Compute the statistics of every pass of whole seasons, a game at a time, on a Dask cluster, and "
        "write a Parquet file a game, partitioned by season, week and game. A file is named by what it comes from: "
        "the passes with their revisions, and the model versions in service. Those that are there are not made again, "
        "so a job that was stopped goes on; a game's new file takes the place of its old one.",
        epilog="example: python -m training.season out/statistics --season 2024 --last-week 4",
    )
    parser.add_argument("out", type=Path, help="where to write; made if it is not there")
    parser.add_argument("--data", type=Path, help="an export of plays (`ghostback export`), in place of ingest")
    parser.add_argument("--season", type=int, default=0, help="only this season")
    parser.add_argument("--first-week", type=int, default=0, help="no week before")
    parser.add_argument("--last-week", type=int, default=99, help="no week after")
    for service in ("ingest", "predict", "score"):
        parser.add_argument(
            f"--{service}", default="", metavar="HOST:PORT", help="by default of the suite running in this folder"
        )
    parser.add_argument(
        "--scheduler", default="", help="of a Dask cluster, tcp://HOST:PORT (default: a process a core, here)"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as one line of JSON")
    arguments = parser.parse_args()
    console = Console(stderr=arguments.json)
    started = time.monotonic()
    try:
        addresses = suite.addresses({name: getattr(arguments, name) for name in ("ingest", "predict", "score")})
        weeks = range(arguments.first_week, arguments.last_week + 1)
        done = run(arguments.out, addresses, arguments.data, arguments.season, weeks, arguments.scheduler, console)
    except KeyboardInterrupt:
        sys.exit("stopped; the games written so far are whole, and the next time they are not made again")
    except Exception as error:
        problem = told(error)
        if problem is None:
            raise
        sys.exit(f"error: {problem}")
    seconds = time.monotonic() - started
    summary = {
        "games": len(done),
        "made": sum(each.made for each in done),
        "passes": sum(each.passes for each in done),
        "statistics": sum(each.statistics for each in done),
        "seconds": round(seconds, 2),
        "passes_per_s": round(sum(each.passes for each in done if each.made) / seconds, 2),
    }
    if arguments.json:
        print(json.dumps(summary))  # noqa: T201
    else:
        console.print(", ".join(f"{name} {value:,}" for name, value in summary.items()).replace("_", " "))


def run(
    out: Path,
    addresses: Addresses,
    data: Path | None = None,
    season: int = 0,
    weeks: Sequence[int] = range(100),
    scheduler: str = "",
    console: Console | None = None,
) -> list[Done]:
    """Compute the statistics of games, on a cluster, and show the progress.

    Args:
        out: where to write.
        addresses: of the suite.
        data: an export to read plays from; None for ingest.
        season: only this one; 0 means all.
        weeks: only games of these.
        scheduler: address of a Dask cluster's scheduler; empty for the cores of this machine.
        console: shows the progress.

    Raises:
        CommandError: there is no such game.
        OSError: nothing answers at the scheduler's address, or a folder cannot be used.
        grpc.aio.AioRpcError: a service failed.
    """
    there, models = asyncio.run(_there(addresses, data))
    games = []
    for partition in there:
        found = _PARTITION.fullmatch(str(partition))
        if found and season in (0, int(found[1])) and int(found[2]) in weeks:
            games.append(partition)
    if not games:
        raise CommandError("there is no such game; `ghostback plays list` lists those of ingest")
    job = Job(out.absolute(), addresses, data and data.absolute(), models)
    columns = (TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        working = cluster.client(scheduler).map(of_game, games, job=job, pure=False)
        arriving = progress.track(as_completed(working), len(working), description="games")
        return [future.result() for future in arriving]


async def _there(addresses: Addresses, data: Path | None) -> tuple[list[Path], tuple[str, ...]]:
    """Partitions of the games there are, and the model versions in service."""
    async with Client(addresses, security=suite.security()) as client:
        listed = await suite.whole_list(client.models.ListModels, wire.view(predict_service_pb2.ListModelsRequest)())
        models = tuple(sorted(model.serving_version for model in listed.models))
        if data:
            return parquet.partitions(data), models
        games = [game async for game in client.list_games()]
        return [Path(f"season={game.season}/week={game.week}/game={game.game_id}") for game in games], models


def of_game(partition: Path, job: Job) -> Done:
    """Compute the statistics of a game, unless their file is there."""
    return asyncio.run(_of_game(partition, job))


async def _of_game(partition: Path, job: Job) -> Done:
    async with Client(job.addresses, timeout=suite.SECONDS, security=suite.security()) as client:
        passes, content = await _passes(client, partition, job)
        path = job.out / partition / f"{content}.parquet"
        if path.exists():
            return Done(path, False, len(passes), len(pl.read_parquet(path, columns=["play"])))
        limit = asyncio.Semaphore(_AT_A_TIME)

        async def rows(play: str | Play, revision: int | None) -> list[dict[str, object]]:
            async with limit:
                try:
                    return [_row(each, revision) for each in await client.compute_statistics(play)]
                except grpc.aio.AioRpcError as error:
                    if error.code() in _WITHOUT:
                        return []
                    raise

        parts = await asyncio.gather(*(rows(play, revision) for play, revision in passes))
    table = pl.DataFrame([row for part in parts for row in part], SCHEMA)
    _write(table, path)
    return Done(path, True, len(passes), len(table))


async def _passes(client: Client, partition: Path, job: Job) -> tuple[Sequence[tuple[str | Play, int | None]], str]:
    """The passes of a game with their revisions, and the digest of what their statistics come from."""
    digest = hashlib.sha256(json.dumps(job.models).encode())
    if job.data:
        for name in parquet.TABLES[:3]:
            digest.update((job.data / name / partition / f"{name}.parquet").read_bytes())
        _, plays = parquet.read_game(job.data, partition)
        read = [(play, None) for play in plays if play.state is PlayState.COMPLETE and play.forward_pass]
        return read, digest.hexdigest()[:16]
    parent = game_name(partition.name.partition("=")[2])
    request = wire.view(ingest_service_pb2.ListPlaysRequest)(parent=parent)
    listed = await suite.whole_list(client.ingest.ListPlays, request)
    named = [
        (play.name, play.revision)
        for play in listed.plays
        if play.state == play_pb2.PLAY_STATE_COMPLETE and play.HasField("forward_pass")
    ]
    digest.update(json.dumps(named).encode())
    return named, digest.hexdigest()[:16]


def _row(statistic: pb.Statistic, revision: int | None) -> dict[str, object]:
    same = ("play", "participant_id", "display_name", "team_id", "position", "actual", "expected")
    return {name: getattr(statistic, name) for name in same} | {
        "revision": revision,
        "kind": suite.word(pb.StatisticKind, statistic.kind),
        "value": round(statistic.value * SCALE) / SCALE,
        "model_versions": list(statistic.model_versions),
    }


def _write(table: pl.DataFrame, path: Path) -> None:
    """Write a file whole or not at all, in the place of others of its game."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        table.write_parquet(aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    for other in path.parent.glob("*.parquet"):
        if other != path:
            other.unlink()


if __name__ == "__main__":
    main()
