"""What ingest has is in the files that the command writes, as DuckDB, Polars and pandas read them."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

from ghostback import feed
from ghostback.client import Addresses, Client
from ghostback.play import SAMPLE_DTYPES, Game, Play, PlayState, Samples
from simulator.faults import inject_faults
from simulator.game import simulate_game
from tests.processes import Server, running


@pytest.fixture(scope="module")
async def ingest(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """With two games of two weeks, one of which has a play that is not over."""
    database = f"--database-url=sqlite:///{tmp_path_factory.mktemp('ingest') / 'ingest.db'}"
    async with running("services.ingest", "--policy=strict", database) as server:
        async with Client(Addresses(ingest=server.address)) as client:
            for seed, week in ((51, 1), (52, 2)):
                simulated = simulate_game(seed, 6)
                await client.update_game(replace(simulated.game, week=week))
                plays = [inject_faults(play, seed) for play in simulated.plays]
                if week == 2:
                    plays[3] = replace(plays[3], state=PlayState.LIVE)
                async for _ in feed.stream(client, plays):
                    pass
        yield server


@pytest.fixture(scope="module")
async def stored(ingest: Server) -> list[tuple[Game, list[Play]]]:
    async with Client(Addresses(ingest=ingest.address)) as client:
        return [
            (
                game,
                [
                    await client.get_play(play.name)
                    async for play in client.list_plays(game.name)
                    if play.state is not PlayState.LIVE
                ],
            )
            async for game in client.list_games()
        ]


async def run(folder: Path, address: str, *flags: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ghostback.exporter", str(folder), "--ingest", address, *flags),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    return process.returncode, out.decode(), errors.decode()


@pytest.fixture(scope="module")
async def folder(ingest: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export")
    code, out, errors = await run(path, ingest.address, "--json")
    assert code == 0, errors
    summary = json.loads(out)
    assert (summary["games"], summary["plays"], summary["live"], summary["files"]) == (2, 11, 1, 8)
    return path


def test_duckdb_reads_every_sample_of_every_play(folder: Path, stored: list[tuple[Game, list[Play]]]) -> None:
    query = f"""
        select season, week, game, play_id, {", ".join(SAMPLE_DTYPES)}
        from read_parquet('{folder}/samples/**/*.parquet', hive_partitioning = true)
        order by game, play_id, frame, tag_id
    """
    rows = duckdb.sql(query).fetchnumpy()
    at = 0
    for game, plays in sorted(stored, key=lambda pair: pair[0].game_id):
        for play in sorted(plays, key=lambda play: play.play_id):
            part = slice(at, at + len(play.samples))
            at = part.stop
            assert {(game.season, game.week)} == set(zip(rows["season"][part], rows["week"][part], strict=True))
            assert set(rows["game"][part].astype(str)) == {game.game_id}
            assert set(rows["play_id"][part]) == {play.play_id}
            columns = {name: np.ma.filled(rows[name][part].astype(dtype)) for name, dtype in SAMPLE_DTYPES.items()}
            assert Samples(**columns) == play.samples.sorted_by_frame()
    assert at == len(rows["season"]) > 0


def test_duckdb_joins_the_tables(folder: Path, stored: list[tuple[Game, list[Play]]]) -> None:
    query = f"""
        select p.play_id, count(*) as n, sum(x) as x, any_value(len(events)) as events, any_value(target_id) as target
        from '{folder}/samples/**/*.parquet' s join '{folder}/plays/**/*.parquet' p using (game, play_id)
        join '{folder}/participants/**/*.parquet' w using (game, play_id, participant_id)
        where w.kind = 'PLAYER' and game = {stored[0][0].game_id} group by all order by 1
    """
    found = duckdb.sql(query).fetchall()
    expected = []
    for play in sorted(stored[0][1], key=lambda play: play.play_id):
        players = [tag for p in play.participants if p.kind == "PLAYER" for tag in p.tag_ids]
        own = play.samples.take(np.isin(play.samples.tag_id, players))
        target = play.forward_pass.target_id if play.forward_pass else None
        expected.append((play.play_id, len(own), pytest.approx(own.x.sum(dtype=np.float64)), len(play.events), target))
    assert found == expected


def test_polars_and_pandas_read_the_same(folder: Path, stored: list[tuple[Game, list[Play]]]) -> None:
    n_samples = sum(len(play.samples) for _, plays in stored for play in plays)
    polars = pl.read_parquet(folder / "samples", hive_partitioning=True)
    assert (len(polars), polars["week"].unique().sort().to_list()) == (n_samples, [1, 2])
    pandas = pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("samples/**/*.parquet"))])
    assert len(pandas) == n_samples
    assert pandas["x"].sum() == pytest.approx(polars["x"].sum(), rel=1e-4)


async def test_the_quarantine_is_exported_with_its_reasons(
    ingest: Server, folder: Path, stored: list[tuple[Game, list[Play]]]
) -> None:
    found = duckdb.sql(f"select reason, count(*) from '{folder}/quarantine/**/*.parquet' group by reason").fetchall()
    expected: dict[str, int] = {}
    async with Client(Addresses(ingest=ingest.address)) as client:
        for _, plays in stored:
            for play in plays:
                for reason, count in (await client.quality_report(play.name)).quarantined.items():
                    expected[reason] = expected.get(reason, 0) + count
    assert dict(found) == expected
    assert expected


async def test_exporting_again_gives_the_same_bytes(ingest: Server, folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*.parquet")}
    game = next(folder.glob("samples/*/*/game=*")).name.removeprefix("game=")
    code, out, errors = await run(folder, ingest.address, "--json", "--game", game)
    assert code == 0, errors
    assert json.loads(out)["games"] == 1
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


async def test_what_cannot_be_exported_is_told_in_one_sentence(ingest: Server, tmp_path: Path) -> None:
    assert await run(tmp_path, ingest.address, "--game", "404") == (1, "", "error: ingest has no game 404\n")
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    code, _, errors = await run(blocked, ingest.address)
    assert code == 1
    assert errors.splitlines()[-1].startswith("error: [Errno 20] Not a directory")
    code, _, errors = await run(tmp_path, "127.0.0.1:9")
    assert (code, errors.count("\n")) == (1, 1)
    assert errors.startswith("error: 127.0.0.1:9: UNAVAILABLE: ")
