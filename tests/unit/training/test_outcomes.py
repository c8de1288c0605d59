"""From simulated passes to the probabilities of how they end."""

import hashlib
import json
import tomllib
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import ghostback_models
from services.features import feature_sets, tensors
from services.predict import outcomes
from simulator.game import simulate_game
from training import plugin
from training.outcomes import evaluate, network, passes, trees
from training.outcomes.__main__ import ENTRIES
from training.outcomes.command import SETTINGS, Model
from training.outcomes.passes import Passes

STATISTICS = Path(__file__).parents[3] / "docs" / "statistics.md"
BUILT_IN = Path(next(iter(ghostback_models.__path__)))
SHIPPED = [(setting, name) for setting in SETTINGS for name in ENTRIES]
GAMES = {seed: simulate_game(seed, 40) for seed in (61, 62, 63)}


@cache
def of_game(setting: str, seed: int) -> Passes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "DRAWS", 8)
        return passes.of_game(GAMES[seed], setting, seed, truth=True)


def of_games(setting: str, *seeds: int) -> Passes:
    return Passes.concatenate([of_game(setting, seed) for seed in seeds])


@pytest.fixture(scope="module", params=SETTINGS)
def setting(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def parts(setting: str) -> tuple[Passes, Passes]:
    return of_games(setting, 61, 62), of_games(setting, 63)


@pytest.fixture(scope="module", params=ENTRIES)
def model(request: pytest.FixtureRequest, parts: tuple[Passes, Passes], setting: str) -> Model:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "EPOCHS", 4)
        patch.setattr(trees, "ROUNDS", 60)
        return fitted(request.param, parts, setting)


def fitted(name: str, parts: tuple[Passes, Passes], setting: str) -> Model:
    return ENTRIES[name].fit(*parts, passes.feature_set_of(setting).tensors[0].entries, 1)


def test_a_game_gives_every_pass_to_every_receiver_once_and_one_of_each_pass_as_thrown(
    parts: tuple[Passes, Passes],
) -> None:
    thrown = [play for play in GAMES[63].plays if play.forward_pass]
    assert parts[1].actual.sum() <= len(thrown)
    assert 0.95 * 5 * len(thrown) < len(parts[1]) <= 5 * len(thrown)
    assert set(parts[1].outcome) <= set(outcomes.Outcome)
    assert np.isfinite(parts[1].measurements).all()
    np.testing.assert_allclose(parts[1].truth.sum(axis=1), 1.0)


def test_live_measurements_use_nothing_of_the_flight() -> None:
    game = GAMES[61]
    play = next(play for play in game.plays if play.forward_pass)
    assert play.forward_pass
    seen = play.samples.take(play.samples.frame <= play.forward_pass.forward_frame)
    blind = replace(play, samples=seen)
    told = [passes._at_the_throw({play.play_id: each}) for each in (play, blind)]
    assert len(told[0]) == 5
    for key, measured in told[0].items():
        np.testing.assert_array_equal(np.concatenate(measured), np.concatenate(told[1][key]))


def test_retrospective_measurements_are_those_that_are_served() -> None:
    game = GAMES[61]
    thrown = [play for play in game.plays if play.forward_pass]
    made = of_games("retrospective", 61)
    own = made.measurements[made.actual]
    served = [tensors.compute(p, feature_sets.get("pass-outcome@1")).tensors["measurements"][0] for p in thrown]
    np.testing.assert_array_equal(own, np.stack(served))


def test_a_model_says_probabilities_and_more_than_how_often_passes_are_caught(
    model: Model, parts: tuple[Passes, Passes]
) -> None:
    said = model.predict(parts[1].measurements)
    assert outcomes.are_probabilities(said)
    base = evaluate.baselines(parts[1], parts[0])["base_rate"]
    losses = [evaluate.errors(parts[1], p, outcomes.Outcome.COMPLETE)["log_loss"] for p in (said, base)]
    assert losses[0] < losses[1]


def test_the_artifact_answers_as_the_model_does(model: Model, parts: tuple[Passes, Passes], tmp_path: Path) -> None:
    model.export(tmp_path / "model.onnx")
    for n in (1, len(parts[0])):
        given = parts[0].measurements[:n]
        answer = plugin.run(tmp_path / "model.onnx", {"measurements": given})
        apart = np.abs(answer["probability"] - model.predict(given))
        assert apart.max() < 0.02, "a value may lie on a threshold"
        assert np.mean(apart < 1e-5) > 0.99


@pytest.mark.parametrize("name", ENTRIES)
def test_the_same_seed_gives_the_same_model(name: str) -> None:
    parts = of_games("retrospective", 61), of_games("retrospective", 63)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "EPOCHS", 2)
        patch.setattr(trees, "ROUNDS", 20)
        one, two = (fitted(name, parts, "retrospective") for _ in range(2))
    np.testing.assert_array_equal(one.predict(parts[1].measurements), two.predict(parts[1].measurements))


def test_a_catch_gets_no_likelier_the_farther_the_receiver_is_from_the_ball() -> None:
    parts = of_games("retrospective", 61, 62), of_games("retrospective", 63)
    grown = fitted("trees", parts, "retrospective")
    entries = passes.feature_set_of("retrospective").tensors[0].entries
    farther = np.repeat(parts[1].measurements[:1], 50, axis=0)
    farther[:, entries.index("receiver to ball yd")] = np.linspace(0, 5, 50)
    assert (np.diff(grown.predict(farther)[:, 0]) <= 1e-7).all()


def test_the_calibration_error_of_the_right_probabilities_is_small_and_of_wrong_ones_as_large_as_they_are_wrong() -> (
    None
):
    rng = np.random.default_rng(1)
    right = rng.uniform(0.2, 0.8, 200_000)
    happened = rng.uniform(size=len(right)) < right
    air_yards = rng.uniform(-3, 30, len(right)).astype(np.float32)
    assert evaluate.calibration_error(right, happened) < 0.01
    assert evaluate.calibration_error(right + 0.1, happened) == pytest.approx(0.1, abs=0.005)
    assert evaluate.nflfastr_calibration_error(right, happened, air_yards) < 0.02
    assert evaluate.nflfastr_calibration_error(right + 0.1, happened, air_yards) == pytest.approx(0.1, abs=0.01)


def test_the_calibration_error_of_nflfastr_weighs_groups_by_catches() -> None:
    said = np.array([0.5, 0.5, 0.5, 0.5, 0.9, 0.9])
    happened = np.array([True, False, True, False, True, False])
    air_yards = np.array([2, 2, 2, 2, 20, 20], np.float32)
    assert evaluate.nflfastr_calibration_error(said, happened, air_yards) == pytest.approx((2 * 0.0 + 1 * 0.4) / 3)


@pytest.mark.parametrize(("setting", "name"), SHIPPED)
def test_a_built_in_version_is_what_its_manifest_says(setting: str, name: str) -> None:
    folder = BUILT_IN / setting / f"pass_outcome_{name}"
    manifest, version = tomllib.loads((folder / "manifest.toml").read_text()), ENTRIES[name].version
    for part in ("artifact", "golden", "training_inputs"):
        assert hashlib.sha256((folder / manifest[part]["file"]).read_bytes()).hexdigest() == manifest[part]["sha256"]
    assert (manifest["name"], manifest["version"]) == (version.model(setting), version.number)
    assert manifest["feature_set_digest"] == feature_sets.get(manifest["feature_set"]).digest


@pytest.mark.parametrize("built_in", SETTINGS)
def test_built_in_versions_know_more_than_baselines_about_a_game_they_never_saw(built_in: str) -> None:
    held = of_games(built_in, 61, 62, 63)
    for name in ENTRIES:
        path = BUILT_IN / built_in / f"pass_outcome_{name}" / "model.onnx"
        said = plugin.run(path, {"measurements": held.measurements})["probability"]
        told = evaluate.report(held, said, held)
        completion = told["all"]["completion"]  # type: ignore[index]
        assert completion["model"]["brier"] < completion["air_yards"]["brier"]
        assert completion["model"]["rms_truth"] < completion["air_yards"]["rms_truth"]


def table(setting: str, event: str) -> list[str]:
    """The rows of a table of quality in the document."""
    rows = []
    told = {
        name: json.loads((BUILT_IN / setting / f"pass_outcome_{name}" / "metrics.json").read_text()) for name in ENTRIES
    }
    for kind, thrown in (("actual", "as thrown"), ("all", "to everyone")):
        said = {
            f"{name} {ENTRIES[name].version.number}": metrics[kind][event]["model"] for name, metrics in told.items()
        }
        one = told["trees"][kind][event]
        said |= {name.replace("_", " "): one[name] for name in ("air_yards", "base_rate", "truth")}
        for who, errors in said.items():
            rows.append(f"| {thrown} | {who} | " + " | ".join(f"{errors[e]:.4f}" for e in evaluate.ERRORS) + " |")
    return rows


@pytest.mark.parametrize("event", evaluate.EVENTS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_the_document_tells_the_figures_of_the_shipped_models(setting: str, event: str) -> None:
    text = STATISTICS.read_text()
    for row in table(setting, event):
        assert row in text
