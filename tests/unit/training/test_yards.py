"""From simulated catches to distributions of the yards after them."""

import hashlib
import json
import tomllib
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import ghostback_models
from services.features import feature_sets
from services.predict.yards import FIRST_YARDS, N_YARDS
from simulator.game import simulate_game
from training import plugin
from training.outcomes import command, fitting, passes
from training.outcomes.passes import Passes
from training.yards import catches, evaluate, network
from training.yards.__main__ import NAME, VERSION
from training.yards.network import Network

STATISTICS = Path(__file__).parents[3] / "docs" / "statistics.md"
BUILT_IN = Path(next(iter(ghostback_models.__path__)))
YARDS = np.arange(FIRST_YARDS, FIRST_YARDS + N_YARDS)


@cache
def of_games(setting: str, *seeds: int) -> Passes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "DRAWS", 3)
        parts = [passes.of_game(simulate_game(seed, 40), setting, seed, truth=seed == 63) for seed in seeds]
    return catches.caught(Passes.concatenate(parts))


@pytest.fixture(scope="module", params=command.SETTINGS)
def setting(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def parts(setting: str) -> tuple[Passes, Passes]:
    return of_games(setting, 61, 62), of_games(setting, 63)


@pytest.fixture(scope="module")
def model(parts: tuple[Passes, Passes]) -> Network:
    return fitted(parts, 30)


def fitted(parts: tuple[Passes, Passes], epochs: int) -> Network:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "EPOCHS", epochs)
        patch.setattr(fitting, "BATCH", 32)
        return network.fit(*parts, 1)


def measured(**values: float) -> np.ndarray:
    """Measurements (1, 19), 0 but for some columns."""
    entries = passes.feature_set_of("live", VERSION.task).tensors[0].entries
    row = np.zeros((1, len(entries)), np.float32)
    for name, value in values.items():
        row[0, entries.index(name.replace("_", " ") + " yd")] = value
    return row


@pytest.mark.parametrize(
    ("gain", "air_yards", "end_zone", "yards"),
    [
        (14.2, 10.0, 30.0, 4),
        (14.6, 10.0, 30.0, 5),
        (7.4, 10.0, 30.0, -3),
        (40.0, 10.0, 30.0, 30),
        (39.7, 10.0, 30.0, 29),
        (15.3, 10.0, 5.3, 6),
        (15.0, 10.0, 5.3, 5),
        (10.0, 10.0, -4.0, 0),
        (9.8, 10.0, -4.0, -1),
        (-30.0, 0.0, 30.0, -10),
        (105.0, 0.0, 105.0, 90),
    ],
)
def test_yards_after_a_catch_are_whole_and_only_a_touchdown_has_those_to_the_end_zone(
    gain: float, air_yards: float, end_zone: float, yards: int
) -> None:
    catch = measured(air_yards=air_yards, end_zone=end_zone)
    assert catches.whole_yards(np.array([gain]), catch).tolist() == [yards]


def test_a_gain_is_that_of_the_play_and_within_what_the_simulator_knows_of_it(setting: str) -> None:
    known = of_games(setting, 63)
    assert np.isfinite(known.gain).all()
    apart = (known.gains - known.gain[:, None])[np.isfinite(known.gains)]
    assert len(apart) > len(known)
    assert abs(apart.mean()) < 1.5
    assert np.mean(np.abs(apart) < 15) > 0.9


def test_a_model_says_distributions_that_end_at_the_end_zone(model: Network, parts: tuple[Passes, Passes]) -> None:
    said = model.predict(parts[1].catch)
    assert said.shape == (len(parts[1]), N_YARDS)
    np.testing.assert_allclose(said.sum(axis=1), 1.0, atol=1e-5)
    assert (said >= 0).all()
    assert said[catches.touchdown(parts[1].catch)[:, None] < YARDS].max() == 0.0


def test_a_model_says_more_of_what_it_was_fitted_to_than_how_far_receivers_run(
    model: Network, parts: tuple[Passes, Passes]
) -> None:
    base = evaluate.baselines(parts[0], parts[0])["base_rate"]
    said = model.predict(parts[0].catch).astype(np.float64)
    assert evaluate.errors(parts[0], said)["crps"] < 0.95 * evaluate.errors(parts[0], base)["crps"]


def test_the_artifact_answers_as_the_model_does(model: Network, parts: tuple[Passes, Passes], tmp_path: Path) -> None:
    model.export(tmp_path / "model.onnx")
    for n in (1, len(parts[0])):
        given = parts[0].catch[:n]
        answer = plugin.run(tmp_path / "model.onnx", {"measurements": given})
        np.testing.assert_allclose(answer["probability"], model.predict(given), atol=1e-5)


def test_the_same_seed_gives_the_same_model() -> None:
    parts = of_games("retrospective", 61), of_games("retrospective", 63)
    one, two = (fitted(parts, 2) for _ in range(2))
    np.testing.assert_array_equal(one.predict(parts[1].catch), two.predict(parts[1].catch))


def test_right_distributions_cover_what_they_say_and_narrow_ones_less() -> None:
    rng = np.random.default_rng(1)
    rates = rng.uniform(1, 9, 20_000)
    counts = np.arange(N_YARDS) + FIRST_YARDS
    weights = np.exp(-((counts[None] - rates[:, None]) ** 2) / 8)
    right = weights / weights.sum(axis=1, keepdims=True)
    below = np.cumsum(right, axis=1)
    yards = (rng.uniform(size=len(rates))[:, None] > below).sum(axis=1) + FIRST_YARDS
    narrow = np.cumsum(weights**4 / (weights**4).sum(axis=1, keepdims=True), axis=1)
    for share in (0.5, 0.9):
        assert evaluate.covered(below, yards, share) == pytest.approx(share, abs=0.01)
        assert evaluate.covered(narrow, yards, share) < share - 0.1
    assert evaluate.quantile(below[:1], 0.5)[0] == pytest.approx(rates[0], abs=1)


def test_the_calibration_error_of_nflfastr_is_of_four_kinds_of_runs() -> None:
    said = np.zeros((4, N_YARDS))
    said[:, 0 - FIRST_YARDS], said[:, 8 - FIRST_YARDS] = 0.5, 0.5
    near = np.zeros(4, np.float32)
    assert evaluate.nflfastr_calibration_error(said, np.array([-2, 0, 6, 10]), near) == pytest.approx(0.0)
    assert evaluate.nflfastr_calibration_error(said, np.array([1, 5, 6, 10]), near) == pytest.approx(0.25)
    deep = np.array([2, 2, 20, 20], np.float32)
    assert evaluate.nflfastr_calibration_error(said, np.array([-2, 0, 6, 10]), deep) == pytest.approx(0.25)


def test_the_score_of_a_certain_forecast_is_how_far_it_is_off() -> None:
    known = of_games("retrospective", 63).take(np.arange(5))
    yards = catches.whole_yards(known.gain, known.catch)
    certain = np.eye(N_YARDS)[np.minimum(yards + 3, 90) - FIRST_YARDS]
    assert evaluate.errors(known, certain)["crps"] == pytest.approx(3.0)
    assert evaluate.errors(known, certain)["mean_error"] == pytest.approx(3.0)


@pytest.mark.parametrize("built_in", command.SETTINGS)
def test_a_built_in_version_is_what_its_manifest_says(built_in: str) -> None:
    folder = BUILT_IN / built_in / f"yards_after_catch_{NAME}"
    manifest = tomllib.loads((folder / "manifest.toml").read_text())
    for part in ("artifact", "golden", "training_inputs"):
        assert hashlib.sha256((folder / manifest[part]["file"]).read_bytes()).hexdigest() == manifest[part]["sha256"]
    assert (manifest["name"], manifest["version"]) == (VERSION.model(built_in), VERSION.number)
    assert manifest["feature_set_digest"] == feature_sets.get(manifest["feature_set"]).digest


@pytest.mark.parametrize("built_in", command.SETTINGS)
def test_built_in_versions_know_more_than_baselines_about_games_they_never_saw(built_in: str) -> None:
    held = of_games(built_in, 61, 62)
    path = BUILT_IN / built_in / f"yards_after_catch_{NAME}" / "model.onnx"
    said = {"model": plugin.run(path, {"measurements": held.catch})["probability"].astype(np.float64)}
    scores = {
        name: evaluate.errors(held, each)["crps"] for name, each in (said | evaluate.baselines(held, held)).items()
    }
    assert scores["model"] < 0.95 * min(scores["air_yards"], scores["base_rate"])


@pytest.mark.parametrize("built_in", command.SETTINGS)
def test_the_document_tells_the_figures_of_the_shipped_models(built_in: str) -> None:
    text = STATISTICS.read_text()
    told = json.loads((BUILT_IN / built_in / f"yards_after_catch_{NAME}" / "metrics.json").read_text())
    for kind, thrown in (("actual", "as thrown"), ("all", "to everyone")):
        for who, errors in told[kind]["yards"].items():
            name = f"{NAME} {VERSION.number}" if who == "model" else who.replace("_", " ")
            figures = " | ".join(f"{errors[error]:.4f}" for error in evaluate.ERRORS)
            assert f"| {thrown} | {name} | {figures} |" in text
