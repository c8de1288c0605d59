"""Statistics of whole seasons, computed again on Dask against the running suite."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from distributed import LocalCluster
from rich.console import Console

from ghostback import exporter, feed
from ghostback.cli import suite
from ghostback.play import Game
from ghostback.score.v1 import statistics_service_pb2 as pb
from tests.integration.conftest import Chain
from training import cluster, season

SEASON = 2041


@pytest.fixture(scope="module")
async def games(chain: Chain) -> Sequence[Game]:
    """Three games of a season of their own, two passes each, one of which lacks the passer's samples."""
    made = []
    for week, plays in enumerate((chain.passes[:2], chain.passes[2:4], chain.passes[4:6]), 1):
        game = replace(chain.simulated.game, game_id=f"season-{week}", season=SEASON, week=week)
        await chain.client.update_game(game)
        async for _ in feed.stream(chain.client, [replace(play, game_id=game.game_id) for play in plays]):
            pass
        made.append(game)
    return made


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Address of a cluster of two worker processes."""
    with working(2, processes=True) as address:
        yield address


@contextmanager
def working(workers: int, processes: bool) -> Iterator[str]:
    with LocalCluster(n_workers=workers, threads_per_worker=1, processes=processes, dashboard_address=":0") as local:
        yield local.scheduler_address
        cluster.client(local.scheduler_address).close()


async def run(chain: Chain, out: Path, scheduler: str, data: Path | None = None) -> list[season.Done]:
    return await asyncio.to_thread(
        season.run, out, chain.suite.addresses, data, SEASON, scheduler=scheduler, console=Console(quiet=True)
    )


def files(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.parquet")}


def values(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "**/*.parquet").drop("revision").sort("play", "kind", "participant_id")


async def test_a_season_is_what_was_kept_live(
    chain: Chain, games: Sequence[Game], scheduler: str, tmp_path: Path
) -> None:
    done = await run(chain, tmp_path, scheduler)
    assert [each.made for each in done] == [True] * 3
    computed = pl.read_parquet(tmp_path / "**/*.parquet", hive_partitioning=True)
    assert set(computed["week"]) == {1, 2, 3}
    same = [name for name in season.SCHEMA if name not in ("kind", "model_versions")]
    for game in games:
        own = [row for row in computed.iter_rows(named=True) if row["game"] == game.game_id]
        async with asyncio.timeout(60):
            while len(kept := [each async for each in chain.client.list_statistics(game.name)]) < len(own):
                await asyncio.sleep(0.1)
        live = {(each.play, suite.word(pb.StatisticKind, each.kind), each.participant_id): each for each in kept}
        assert live.keys() == {(row["play"], row["kind"], row["participant_id"]) for row in own}
        for row in own:
            known = live[row["play"], row["kind"], row["participant_id"]]
            assert {name: row[name] for name in same} == pytest.approx({name: getattr(known, name) for name in same})
            assert row["value"] == known.value
            assert row["model_versions"] == list(known.model_versions)


async def test_files_are_the_same_at_any_number_of_workers(
    chain: Chain, games: Sequence[Game], scheduler: str, tmp_path: Path
) -> None:
    await run(chain, tmp_path / "two", scheduler)
    with working(1, processes=False) as alone:
        await run(chain, tmp_path / "one", alone)
    assert files(tmp_path / "one") == files(tmp_path / "two")


async def test_a_job_that_was_killed_goes_on_with_what_is_not_there(
    chain: Chain, games: Sequence[Game], scheduler: str, tmp_path: Path
) -> None:
    addresses = chain.suite.addresses
    where = [f"--{name}={getattr(addresses, name)}" for name in ("ingest", "predict", "score")]
    command = [sys.executable, "-m", "training.season", tmp_path / "killed", f"--season={SEASON}", "--last-week=1"]
    job = await asyncio.create_subprocess_exec(
        *command, *where, f"--scheduler={scheduler}", stdout=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(60):
        while not files(tmp_path / "killed"):
            await asyncio.sleep(0.01)
    job.kill()
    await job.wait()
    [first] = files(tmp_path / "killed")
    written = (tmp_path / "killed" / first).stat().st_mtime_ns
    done = await run(chain, tmp_path / "killed", scheduler)
    assert {each.path.relative_to(tmp_path / "killed"): each.made for each in done}.pop(first) is False
    assert sum(each.made for each in done) == 2
    assert (tmp_path / "killed" / first).stat().st_mtime_ns == written
    await run(chain, tmp_path / "whole", scheduler)
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


async def test_a_corrected_play_has_its_game_made_again_and_no_other(
    chain: Chain, games: Sequence[Game], scheduler: str, tmp_path: Path
) -> None:
    await run(chain, tmp_path, scheduler)
    before = files(tmp_path)
    [play, *_] = [play async for play in chain.client.list_plays(games[1].name)]
    await chain.client.update_play(replace(play, description="corrected"))
    done = await run(chain, tmp_path, scheduler)
    assert [f"week={games[1].week}" in each.path.parts for each in done if each.made] == [True]
    after = files(tmp_path)
    assert len(after) == len(before) == 3
    assert len(after.keys() & before.keys()) == 2


async def test_an_export_gives_the_same_statistics_as_ingest(
    chain: Chain, games: Sequence[Game], scheduler: str, tmp_path: Path
) -> None:
    await exporter.write(chain.client, tmp_path / "export", [game.game_id for game in games], Console(quiet=True))
    await run(chain, tmp_path / "named", scheduler)
    await run(chain, tmp_path / "given", scheduler, tmp_path / "export")
    assert values(tmp_path / "given").equals(values(tmp_path / "named"))


def test_a_season_that_is_not_there_is_told_of(chain: Chain, tmp_path: Path) -> None:
    addresses = chain.suite.addresses
    where = [f"--{name}={getattr(addresses, name)}" for name in ("ingest", "predict", "score")]
    command = [sys.executable, "-m", "training.season", tmp_path, "--season=1999", *where]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == "error: there is no such game; `ghostback plays list` lists those of ingest"
