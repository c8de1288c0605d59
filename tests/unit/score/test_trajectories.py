"""Trajectories of many passes side by side."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.score import subjects, trajectories
from benchmarks.score.subjects import Model
from benchmarks.score.trajectories import NothingToScoreError, Trajectories
from services.common.errors import NotFound
from services.features import feature_sets, tensors
from services.predict import golden, registry
from services.score import metrics, profiles
from services.score import trajectories as of_play
from simulator.game import simulate_game

REAL = Path(__file__).parents[4] / "shared" / "data" / "nfl-2017090700-first-half"


def test_every_row_scores_as_the_service_scores_its_play(passes: Trajectories) -> None:
    scores = passes.score("actual", profiles.DEFAULT)
    for play in simulate_game(60_001, 60).plays:
        rows = np.flatnonzero(passes.play == play.name)
        if len(rows):
            actual = of_play.actual(play)
            paths = np.stack([actual.paths[name] for name in passes.defender[rows]])
            expected = metrics.score_trajectories(paths, actual.receiver, profiles.DEFAULT)
            np.testing.assert_allclose(scores.score[rows], expected.score)
            np.testing.assert_allclose(scores.initial_distance[rows], expected.initial_distance)


def test_spoiled_trajectories_start_where_the_players_do_and_run_straight_on_at_human_speed(
    passes: Trajectories,
) -> None:
    np.testing.assert_allclose(passes.paths["spoiled"][:, 0], passes.paths["actual"][:, 0], atol=1e-3)
    steps = np.diff(passes.paths["spoiled"], axis=1)
    lengths = np.linalg.norm(steps, axis=-1)
    assert np.nanmax(lengths) < profiles.DEFAULT.step_limit
    np.testing.assert_allclose(np.nanmin(lengths, axis=1), np.nanmax(lengths, axis=1), atol=1e-6)


def test_the_model_answers_its_golden_example(model: Model) -> None:
    version = registry.discover(feature_sets.FEATURE_SETS).versions[model.id]
    assert subjects.load(model.id).id == model.id
    inputs, known = golden.read(version.folder, version.manifest)
    answer = model.infer({name: np.asarray(value) for name, value in inputs.items()})
    np.testing.assert_allclose(answer, known["displacement"], atol=version.manifest.golden.tolerance)


def test_the_model_draws_a_ghost_for_every_defensive_back_from_where_he_was(model: Model) -> None:
    play = next(play for play in simulate_game(60_003, 10).plays if play.forward_pass)
    drawn, actual = model(play), of_play.actual(play)
    assert set(drawn) == set(tensors.compute(play, feature_sets.get("ghosting-kinematics@2")).defender_ids)
    for name, path in drawn.items():
        assert path.shape == actual.receiver.shape
        np.testing.assert_allclose(path[0], actual.paths[name][0], atol=1e-3)


def test_a_model_that_is_not_installed_is_told() -> None:
    with pytest.raises(NotFound, match="there is no model 'ghosting-99"):
        subjects.load("ghosting-99.0.0")


def test_what_ifs_are_of_receivers_who_were_not_thrown_to(what_ifs: Trajectories) -> None:
    thrown_to = {p.name: p.forward_pass.target_id for p in simulate_game(60_001, 20).plays if p.forward_pass}
    for play, target in set(zip(what_ifs.play, what_ifs.target, strict=True)):
        assert target != thrown_to.get(play)
    assert len(set(what_ifs.target[what_ifs.play == next(iter(thrown_to))])) == 4


def test_nothing_to_score_is_an_error_and_not_an_empty_table() -> None:
    run = next(play for play in simulate_game(60_001, 30).plays if not play.forward_pass)
    with pytest.raises(NothingToScoreError, match="of 1 passes none has"):
        trajectories.gather([run], {"actual": subjects.actual})


def test_passes_that_cannot_be_scored_are_counted() -> None:
    good = next(play for play in simulate_game(60_001, 30).plays if play.forward_pass)
    assert good.forward_pass
    lost = replace(good, forward_pass=replace(good.forward_pass, target_id=""))
    found = trajectories.gather([good, lost], {"actual": subjects.actual})
    assert (found.left_out, set(found.play)) == (1, {good.name})


def test_few_games_leave_plays_as_what_counts_independent(passes: Trajectories) -> None:
    what, cluster = passes.clusters
    assert what == "plays"
    assert len(set(cluster)) == len(set(passes.play))
    many = replace(passes, game=np.array([str(i % 6) for i in range(len(passes))]))
    assert many.clusters[0] == "games"
    assert set(many.clusters[1]) == set(range(6))


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the public game is not at {REAL.parent.name}/{REAL.name}")
def test_real_defenders_come_to_the_catch_point_under_the_default_profile() -> None:
    drawn = {"actual": subjects.actual, "spoiled": subjects.spoiled(subjects.constant_velocity, 1.0, 1)}
    real = trajectories.gather(trajectories.recorded(REAL), drawn)
    actual, spoiled = (real.score(name, profiles.DEFAULT).score.mean() for name in drawn)
    assert len(real) > 150
    assert actual < 0 < spoiled
    assert real.score("actual", profiles.get("receiver@1")).score.mean() > 0
