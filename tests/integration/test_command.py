"""The command `ghostback` against the running suite."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl

from tests.integration.conftest import Chain


def run(chain: Chain, folder: Path, *arguments: str) -> str:
    addresses = chain.suite.addresses
    where = {
        f"GHOSTBACK_{name.upper()}": getattr(addresses, name) for name in ("ingest", "features", "predict", "score")
    }
    done = subprocess.run(
        [sys.executable, "-m", "ghostback.cli", *arguments],
        cwd=folder,
        env=os.environ | where,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def short(name: str) -> str:
    return name.removeprefix("games/").replace("/plays/", "/")


def test_plays_are_listed_shown_and_accounted_for(chain: Chain, tmp_path: Path) -> None:
    game, play = chain.simulated.game.game_id, chain.passes[0]
    listed = json.loads(run(chain, tmp_path, "plays", "list", game, "--passes", "--json"))
    assert {each["name"] for each in listed["plays"]} >= {each.name for each in chain.passes}
    assert play.eligible_receivers()[0].participant_id in run(chain, tmp_path, "plays", "show", short(play.name))
    assert "accepted" in run(chain, tmp_path, "plays", "quality", short(play.name))


async def test_ghosts_and_scores_are_those_of_the_client(chain: Chain, tmp_path: Path) -> None:
    play = chain.passes[0]
    told = json.loads(run(chain, tmp_path, "predict", short(play.name), "--json"))
    drawn = await chain.client.predict_ghosts(play.name)
    assert {each["defender_id"] for each in told["ghosts"]} == {each.defender_id for each in drawn.ghosts}
    scored = json.loads(run(chain, tmp_path, "score", "play", short(play.name), "--json"))
    assert len(scored["trajectories"]) == len((await chain.client.score_actual(play.name)).trajectories)


def test_features_and_what_is_stored_are_written_to_files(chain: Chain, tmp_path: Path) -> None:
    play = chain.passes[0]
    assert "ghosting-kinematics-live@2" in run(chain, tmp_path, "features", "list")
    run(chain, tmp_path, "features", "compute", short(play.name), "ghosting-kinematics-live@2", "--out", "x.npz")
    assert (tmp_path / "x.npz").exists()
    run(chain, tmp_path, "export", "season", "--game", play.game_id)
    samples = pl.read_parquet(tmp_path / "season" / "samples", hive_partitioning=True)
    assert len(samples) > 0


def test_the_doctor_finds_the_suite_well(chain: Chain, tmp_path: Path) -> None:
    found = json.loads(
        run(chain, tmp_path, "doctor", "--triton", str(Path(__file__).parents[2] / ".venv-triton"), "--json")
    )
    assert found["well"], found
