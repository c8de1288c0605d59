"""Files into ingest by the command, also when it or the server is killed on the way."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from ghostback import bigdatabowl
from ghostback.client import Addresses, Client
from ghostback.play import PlayState
from simulator.faults import inject_faults
from simulator.game import simulate_game
from tests.layouts import as_year
from tests.predicting import NOBODY
from tests.processes import Server, running

N_PLAYS = 30
GAME_IDS = map(str, count(2024090801))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A game of its own for each test."""
    simulated, game_id = simulate_game(21, N_PLAYS), next(GAME_IDS)
    plays = [replace(inject_faults(play, 21), game_id=game_id) for play in simulated.plays]
    bigdatabowl.write(tmp_path / "data", [(replace(simulated.game, game_id=game_id), plays)])
    return tmp_path / "data"


@pytest.fixture(scope="module")
async def ingest(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    database = tmp_path_factory.mktemp("ingest") / "ingest.db"
    async with running("services.ingest", f"--database-url=sqlite:///{database}", "--policy=archive") as started:
        yield started


async def start(source: object, address: str, *flags: str) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "ghostback.importer", str(source), "--ingest", address, *flags)
    return await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


async def run(source: object, address: str, *flags: str) -> tuple[int | None, str, str]:
    process = await start(source, address, *flags)
    out, errors = await process.communicate()
    return process.returncode, out.decode(), errors.decode()


async def n_complete(client: Client, game: str) -> int:
    return len([play async for play in client.list_plays(game) if play.state is not PlayState.LIVE])


@pytest.mark.parametrize("year", [2021, 2024, 2026])
async def test_what_the_files_hold_is_what_ingest_has(folder: Path, ingest: Server, year: int) -> None:
    as_year(folder, year)
    expected = [play for _, plays in bigdatabowl.read(folder) for play in plays]
    code, out, errors = await run(folder, ingest.address, "--json")
    assert code == 0, errors
    summary = json.loads(out)
    assert (summary["games"], summary["plays"], summary["already_there"]) == (1, len(expected), 0)
    assert summary["samples"] == sum(len(play.samples) for play in expected)
    judged = summary["accepted"] + summary["duplicates"] + sum(summary["quarantined"].values())
    assert judged == summary["samples"]
    assert (summary["refused"], summary["warnings"]) == ({}, [])
    async with Client(Addresses(ingest=ingest.address)) as client:
        stored = [await client.get_play(play.name) for play in expected]
        report = await client.quality_report(f"games/{expected[0].game_id}")
    assert report.accepted == summary["accepted"]
    assert report.quarantined == summary["quarantined"]
    for back, play in zip(stored, expected, strict=True):
        assert (back.forward_pass, back.events, back.state) == (play.forward_pass, play.events, play.state)
        assert set(back.participants) == set(play.participants)


async def test_an_import_that_was_killed_goes_on_when_repeated(folder: Path, ingest: Server) -> None:
    ((game, plays),) = bigdatabowl.read(folder)
    async with Client(Addresses(ingest=ingest.address)) as client:
        await client.update_game(game)
        process = await start(folder, ingest.address, "--json")
        async with asyncio.timeout(60):
            while not 0 < (found := await n_complete(client, game.name)) < N_PLAYS:
                await asyncio.sleep(0.002)
        process.kill()
        await process.communicate()
        found = await n_complete(client, game.name)
        assert 0 < found < N_PLAYS
        code, out, errors = await run(folder, ingest.address, "--json")
        assert code == 0, errors
        summary = json.loads(out)
        assert found <= summary["already_there"] < N_PLAYS
        assert summary["plays"] + summary["already_there"] == N_PLAYS
        assert await n_complete(client, game.name) == N_PLAYS
        report = await client.quality_report(game.name)
        assert report.accepted + sum(report.quarantined.values()) <= sum(len(play.samples) for play in plays)
        once = {name: (await client.get_play(name)).samples for name in (play.name for play in plays)}
        assert all(len(samples) > 100 for samples in once.values())
        code, out, _ = await run(folder, ingest.address, "--json")
        assert (code, json.loads(out)["already_there"]) == (0, N_PLAYS)
        assert {name: (await client.get_play(name)).samples for name in once} == once


async def test_without_a_server_or_files_there_is_one_plain_sentence(folder: Path) -> None:
    code, out, errors = await run(folder, NOBODY)
    assert (code, errors.count("\n")) == (1, 1)
    assert errors.startswith(f"error: {NOBODY}: UNAVAILABLE: ")
    assert errors.endswith("repeat the command to go on\n")
    code, out, errors = await run(folder / "nowhere", NOBODY)
    assert (code, out, errors) == (1, "", f"error: {folder / 'nowhere'} is not a folder\n")


async def test_a_play_that_ingest_refuses_is_told_and_the_others_go_in(folder: Path, ingest: Server) -> None:
    path = folder / "plays.csv"
    text = path.read_text()
    ((_, plays),) = bigdatabowl.read(folder)
    first = next(line for line in text.splitlines() if f",{plays[0].play_id}," in line)
    cells = first.split(",")
    cells[text.splitlines()[0].split(",").index("down")] = "9"
    path.write_text(text.replace(first, ",".join(cells)))
    code, out, errors = await run(folder, ingest.address, "--json")
    assert code == 1, errors
    summary = json.loads(out)
    assert list(summary["refused"]) == [plays[0].name]
    assert "down" in summary["refused"][plays[0].name]
    assert summary["plays"] == N_PLAYS - 1
