"""From simulated games to a model plugin."""

import hashlib
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

import ghostback_models.ghosting_1_0_0 as built_in
from services.features import feature_sets
from services.score import metrics, profiles
from training import dataset, evaluate, export, train
from training.dataset import Rows
from training.network import MAX_STEP, DefenderCnnLstm

BUILT_IN = Path(next(iter(built_in.__path__)))


@pytest.fixture(scope="module")
def rows() -> Rows:
    plays = [play for play in dataset.simulate_game(51, 20).plays if play.forward_pass]
    return Rows.concatenate([part for part in map(dataset.of_play, plays) if part is not None])


@pytest.fixture(scope="module")
def network() -> DefenderCnnLstm:
    torch.manual_seed(1)
    return DefenderCnnLstm()


def test_displacements_are_where_the_defenders_went(rows: Rows) -> None:
    steps = np.linalg.norm(np.diff(rows.displacement, axis=1, prepend=0), axis=-1)
    assert steps[rows.in_air].max() < 1.5
    assert not rows.displacement[~rows.in_air].any()


def test_no_predicted_step_is_superhuman(rows: Rows, network: DefenderCnnLstm) -> None:
    predicted = train.predict(network, rows)
    assert np.linalg.norm(np.diff(predicted, axis=1, prepend=0), axis=-1).max() <= MAX_STEP + 1e-4


def test_training_makes_the_model_better(rows: Rows) -> None:
    torch.manual_seed(2)
    fresh = DefenderCnnLstm()
    before = train.mean_distance(fresh, rows)
    train.fit(fresh, rows, rows, epochs=6, seed=1)
    assert train.mean_distance(fresh, rows) < 0.9 * before


def test_the_same_seed_trains_the_same_model(rows: Rows) -> None:
    def trained() -> np.ndarray:
        torch.manual_seed(3)
        fresh = DefenderCnnLstm()
        train.fit(fresh, rows, rows, epochs=1, seed=4)
        return train.predict(fresh, rows)

    np.testing.assert_array_equal(trained(), trained())


def test_the_exported_model_answers_as_torch_does(rows: Rows, network: DefenderCnnLstm, tmp_path: Path) -> None:
    export.export_onnx(network, tmp_path / "model.onnx")
    for n in (1, 7, len(rows)):
        some = rows.take(np.arange(n))
        np.testing.assert_allclose(
            export.run_onnx(tmp_path / "model.onnx", some), train.predict(network, some), atol=1e-4
        )


def test_the_built_in_plugin_is_what_its_manifest_says() -> None:
    manifest = tomllib.loads((BUILT_IN / "manifest.toml").read_text())
    for part in ("artifact", "golden"):
        digest = hashlib.sha256((BUILT_IN / manifest[part]["file"]).read_bytes()).hexdigest()
        assert digest == manifest[part]["sha256"]
    assert manifest["feature_set_digest"] == feature_sets.get(manifest["feature_set"]).digest
    assert (BUILT_IN / manifest["provenance"]["metrics"]).exists()


def test_the_built_in_model_beats_every_baseline_on_a_game_it_never_saw(rows: Rows) -> None:
    model = evaluate.errors(export.run_onnx(BUILT_IN / "model.onnx", rows), rows)
    for name, predict in evaluate.BASELINES.items():
        baseline = evaluate.errors(predict(rows), rows)
        assert model["ade"] < 0.8 * baseline["ade"], name  # type: ignore[operator]


def test_trajectory_scores_are_those_of_the_service(rows: Rows) -> None:
    one = rows.take(np.arange(1))
    steps = int(one.air_steps[0])

    path = np.concatenate([np.zeros((1, 1, 2)), one.displacement[:, :steps]], axis=1)
    expected = metrics.score_trajectories(path, one.receiver[0, 4 : 5 + steps, :2], profiles.DEFAULT).score[0]
    assert evaluate.trajectory_score(one.displacement, one) == pytest.approx(expected)
