"""The command that screens: from games or files to a feature set that is served, and a picture."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ghostback import bigdatabowl
from ghostback.bigdatabowl import read
from services.features.library import Library
from services.features.screening import catalogue, table
from simulator.game import simulate_game

REAL = Path(__file__).parents[4] / "shared" / "data" / "nfl-2017090700-first-half"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "training.screening", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("games")
    bigdatabowl.write(folder, [(game.game, game.plays) for game in (simulate_game(seed, 70) for seed in (5, 6, 7))])
    return folder


def test_files_become_a_feature_set_that_is_served_and_a_picture(files: Path, tmp_path: Path) -> None:
    result = run("--data", files, "--out", tmp_path, "--setting", "live", "--seed", 4, "--json")
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    kept = Library(tmp_path).get("ghosting-screened@1")
    assert told["digest"] == kept.digest
    assert told["provenance"]["games"] == ["games/" + game.game_id for game, _ in read(str(files))]
    assert (tmp_path / "ghosting-screened@1.png").read_bytes().startswith(b"\x89PNG")
    assert told["verdicts"].keys() == {each.name for each in catalogue.of_setting("live")}
    assert "leak" not in told["verdicts"].values()


def test_what_cannot_be_screened_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    result = run("--games", 1, "--test-games", 0, "--out", tmp_path / "out")
    assert result.returncode == 1
    assert "of 1 games to learn from" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the public game is not at {REAL.parent.name}/{REAL.name}")
@pytest.mark.parametrize("setting", ["live", "retrospective"])
def test_on_a_real_game_no_candidate_knows_more_than_it_says(setting: str) -> None:
    candidates = catalogue.of_setting(setting)
    ((_, plays),) = read(str(REAL))
    passes = [play for play in plays if play.forward_pass][:15]
    parts = [table.of_play(play, setting, candidates, probed=True) for play in passes]
    shown = table.Table.concatenate(parts, len(candidates)).evidence
    assert not [each.name for each, leaks in zip(candidates, shown.knows_future, strict=True) if leaks]
    assert shown.of_tracks.sum() > 150
