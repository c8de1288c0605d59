"""The published experiment on simulated games."""

import numpy as np
import pytest

from benchmarks.score import experiment, trajectories
from benchmarks.score.experiment import Result
from benchmarks.score.subjects import Model
from services.score import profiles


@pytest.fixture(scope="module")
def result(model: Model) -> Result:
    plays = trajectories.simulated((60_001, 60_002), 80)
    return experiment.run(plays, model, profiles.DEFAULT, spoiling_seed=1, draws=2, resamples=50)


def test_the_score_rises_strictly_with_the_share_of_trajectories_spoiled(result: Result) -> None:
    rows = [row for row in result.rows if row.name == "model" or row.name.startswith("paths")]
    assert [row.name for row in rows] == ["model", "paths 5%", "paths 10%", "paths 25%", "paths 50%", "paths 100%"]
    assert (np.diff([row.score for row in rows]) > 0).all()
    assert (np.diff([row.play_score for row in rows]) > 0).all()


def test_wholly_spoiled_trajectories_are_worse_than_the_players_beyond_chance(result: Result) -> None:
    players = next(row for row in result.rows if row.name == "actual")
    spoiled = next(row for row in result.rows if row.name == "paths 100%")
    assert players.score_interval[1] < spoiled.score_interval[0]
    assert players.play_score_interval[1] < spoiled.play_score_interval[0]


def test_intervals_hold_their_means_and_few_games_resample_plays(result: Result) -> None:
    assert result.resampled == "plays"
    for row in result.rows:
        assert row.score_interval[0] < row.score < row.score_interval[1]
        assert row.play_score_interval[0] < row.play_score < row.play_score_interval[1]
