"""From simulated games to a model plugin."""

import functools
import hashlib
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import ghostback_models
from ghostback.play import FIELD_WIDTH
from services.features import feature_sets
from services.score import metrics, profiles
from simulator.game import simulate_game
from training import boost, evaluate, export, fit, scenes
from training.evaluate import Trajectories
from training.fit import Options
from training.floor import noise_floor
from training.networks.base import MAX_STEP, SceneNetwork
from training.scenes import Scenes, feature_set_of
from training.zoo import MODELS, ZOO

BUILT_IN = Path(next(iter(ghostback_models.__path__)))
GAME = simulate_game(51, 24)
LEARNING = [entry for entry in ZOO.values() if entry.fit is fit.fit and entry.learning_rate]

SHIPPED = [(setting, name) for setting in MODELS for name in ZOO if (BUILT_IN / setting / name).exists()]


PASSES = Scenes.concatenate(scenes.of_plays(GAME.plays, "live", 0))


@pytest.fixture(scope="module")
def passes() -> Scenes:
    return PASSES


@functools.cache
def networks() -> dict[str, SceneNetwork]:
    """With weights as drawn, and trees grown on a handful of passes."""
    torch.manual_seed(1)
    built = {entry.name: entry.build() for entry in ZOO.values()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boost, "LEAST_ROWS", 60)
        boost.fit(built["lightgbm_steps"], PASSES, PASSES, 0.1, Options())  # type: ignore[arg-type]
    return built


every_network = pytest.mark.parametrize("network", networks().values(), ids=list(ZOO))


def test_displacements_are_where_the_defenders_went(passes: Scenes) -> None:
    steps = np.linalg.norm(np.diff(passes.displacement, axis=2, prepend=0), axis=-1)
    assert steps[passes.counts].max() < 1.5
    assert not passes.displacement[~passes.counts].any()
    assert passes.counts.any(axis=(1, 2)).all()


def test_a_what_if_is_seen_from_the_play_as_it_went_and_judged_by_what_would_have_happened() -> None:
    play = next(play for play in GAME.plays if play.forward_pass)
    assert play.forward_pass
    other = next(p for p in play.eligible_receivers() if p.participant_id != play.forward_pass.target_id)
    went = GAME.retarget(play.play_id, other.participant_id)
    what_if = scenes.of_play(play, "live", 0, other.participant_id, went)
    given = scenes.of_play(went, "live", 0)
    assert what_if
    assert given
    np.testing.assert_array_equal(what_if.players, given.players)
    both = what_if.counts & given.counts
    assert both.any()
    np.testing.assert_allclose(what_if.displacement[both], given.displacement[both], atol=1e-5)


@every_network
def test_no_predicted_step_is_superhuman(network: SceneNetwork, passes: Scenes) -> None:
    wild = replace(passes, players=passes.players * np.float32(3))
    for given in (passes, wild):
        displacement, _ = fit.predict(network, given)
        assert np.linalg.norm(np.diff(displacement, axis=2, prepend=0), axis=-1).max() <= MAX_STEP + 1e-4


@every_network
def test_the_order_of_the_players_does_not_matter(network: SceneNetwork, passes: Scenes) -> None:
    order = np.r_[np.random.default_rng(2).permutation(11), 11 + np.random.default_rng(3).permutation(11)]
    shuffled = replace(passes, players=passes.players[:, order], roles=passes.roles[:, order])
    for one, other in zip(fit.predict(network, passes), fit.predict(network, shuffled), strict=True):
        if one is not None and other is not None:
            back = passes.roles[:, order[:11], 6] > 0
            np.testing.assert_allclose(one[:, order[:11]][back], other[back], atol=2e-3)


def test_the_transformer_speeds_nobody_up_beyond_what_legs_allow(passes: Scenes) -> None:
    network = ZOO["scene_transformer"].build()
    for parameter in network.parameters():
        parameter.data *= 3
    displacement, covariance = fit.predict(network, passes)
    velocity = 10 * np.diff(displacement, axis=2, prepend=0)
    assert np.linalg.norm(10 * np.diff(velocity, axis=2), axis=-1).max() < 9.1
    assert covariance is not None
    xx, xy, yy = np.moveaxis(covariance, -1, 0)
    assert (xx * yy > xy**2).all()


def test_training_makes_every_network_better_and_a_second_look_at_a_mirrored_play_is_its_mirror(passes: Scenes) -> None:
    mirrored = fit.mirrored(passes, np.ones(len(passes), np.bool_))
    np.testing.assert_allclose(
        mirrored.players[..., 1], (FIELD_WIDTH - passes.players[..., 1]) * passes.roles[:, :, None, -1], atol=1e-4
    )
    np.testing.assert_array_equal(mirrored.players[..., 3], -passes.players[..., 3])
    for entry in LEARNING:
        torch.manual_seed(2)
        network = entry.build()
        network.defenders = fit.BACKS
        before = fit.root_mean_square(fit.predict(network, passes)[0], passes)
        fit.fit(network, passes, passes, 4e-3, Options(patience=12))
        assert fit.root_mean_square(fit.predict(network, passes)[0], passes) < 0.95 * before, entry.name


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(passes: Scenes, tmp_path: Path) -> None:
    def trained(checkpoint: Path | None, stop: int | None = None) -> np.ndarray:
        torch.manual_seed(3)
        network = ZOO["lstm"].build()
        options = Options(epochs=4, seed=4, checkpoint=checkpoint)
        if stop:
            with pytest.MonkeyPatch.context() as patch:
                saves = iter(range(stop))
                whole = fit._save

                def save(*arguments: object) -> None:
                    whole(*arguments)  # type: ignore[arg-type]
                    if next(saves) == stop - 1:
                        raise KeyboardInterrupt

                patch.setattr(fit, "_save", save)
                with pytest.raises(KeyboardInterrupt):
                    fit.fit(network, passes, passes, 2e-3, options)
            return np.empty(0)
        fit.fit(network, passes, passes, 2e-3, options)
        return fit.predict(network, passes)[0]

    trained(tmp_path / "state.pt", stop=2)
    np.testing.assert_array_equal(trained(tmp_path / "state.pt"), trained(None))


def test_fitting_stops_when_it_gets_no_better_and_keeps_the_best_epoch(passes: Scenes, tmp_path: Path) -> None:
    contrary = replace(passes, displacement=-passes.displacement)
    told: list[tuple[int, dict[str, float]]] = []

    def fitted(patience: int) -> tuple[SceneNetwork, list[tuple[float, float]]]:
        torch.manual_seed(4)
        network = ZOO["lstm"].build()
        log = lambda *epoch: told.append(epoch)  # noqa: E731
        options = Options(10, patience, 4, tmp_path / "state.pt", log)
        return network, fit.fit(network, passes, contrary, 1e-2, options)

    network, history = fitted(2)
    assert len(history) == 3
    assert min(history, key=lambda epoch: epoch[1]) == history[0]
    assert fit.root_mean_square(fit.predict(network, contrary)[0], contrary) == history[0][1]
    assert told == [(i, {"loss": loss, "validation_rmse": rmse}) for i, (loss, rmse) in enumerate(history, start=1)]
    assert fitted(2)[1] == history
    network, longer = fitted(4)
    assert longer[:3] == history
    assert len(longer) == len(told) == 5
    assert fit.root_mean_square(fit.predict(network, contrary)[0], contrary) == history[0][1]


@every_network
def test_the_exported_network_answers_as_the_trained_one_does(
    network: SceneNetwork, passes: Scenes, tmp_path: Path
) -> None:
    export.export_onnx(network, feature_set_of("live"), tmp_path / "model.onnx")
    for n in (1, 7, len(passes)):
        some = passes.take(np.arange(n))
        for answer, expected in zip(
            export.run_onnx(tmp_path / "model.onnx", some), fit.predict(network, some), strict=True
        ):
            if expected is not None:
                np.testing.assert_allclose(answer, expected, atol=1e-4)


def test_the_report_is_right_about_a_prediction_that_is_a_yard_off(passes: Scenes) -> None:
    off = passes.displacement + np.float32([0.6, 0.8])
    covariance = np.tile(np.float32([1.0, 0.0, 1.0]), (*off.shape[:3], 1))
    report = evaluate.report(passes, off, covariance)
    errors = report["actual"]
    assert isinstance(errors, dict)
    np.testing.assert_allclose(errors["rmse"], 1.0, atol=1e-5)
    np.testing.assert_allclose([errors["ade"], errors["fde"], *errors["ade_by_air_time"]], 1.0, atol=1e-5)
    assert errors["calibration"] == {"50%": 1.0, "90%": 1.0}
    assert report["what_if"] is None
    perfect = evaluate.report(passes, passes.displacement, None)
    assert isinstance(perfect["actual"], dict)
    assert perfect["actual"]["ts"] == perfect["ts_actual"]
    assert perfect["actual"]["nearest_defender"] == 0.0


def test_trajectory_scores_are_those_of_the_service(passes: Scenes) -> None:
    one = Trajectories.of(passes.take(np.arange(1)), passes.displacement[:1], None)
    expected = [
        metrics.score_trajectories(
            (anchor + np.concatenate([np.zeros((1, 2)), went[:steps]]))[None], receiver[: steps + 1], profiles.DEFAULT
        ).score[0]
        for anchor, went, receiver, steps in zip(one.anchor, one.went, one.receiver, one.steps, strict=True)
    ]
    assert evaluate.score(one.went, one) == pytest.approx(np.mean(expected))


def test_the_noise_floor_lies_below_the_error_of_constant_velocity(passes: Scenes) -> None:
    floor = noise_floor([GAME])
    misses = Trajectories.of(passes, *fit.predict(ZOO["constant_velocity"].build(), passes))
    assert 0.0 < floor["rmse"] < 0.9 * float(np.sqrt((misses.misses[misses.counts] ** 2).mean()))


@pytest.mark.parametrize(("setting", "name"), SHIPPED)
def test_a_built_in_plugin_is_what_its_manifest_says(setting: str, name: str) -> None:
    folder = BUILT_IN / setting / name
    manifest = tomllib.loads((folder / "manifest.toml").read_text())
    for part in ("artifact", "golden"):
        assert hashlib.sha256((folder / manifest[part]["file"]).read_bytes()).hexdigest() == manifest[part]["sha256"]
    assert (manifest["name"], manifest["version"]) == (MODELS[setting], ZOO[name].version)
    assert manifest["feature_set_digest"] == feature_sets.get(manifest["feature_set"]).digest
    assert (folder / manifest["provenance"]["metrics"]).exists()


@pytest.mark.parametrize("setting", MODELS)
def test_the_default_model_is_the_best_on_a_game_it_never_saw_what_ifs_too(setting: str) -> None:
    held = scenes.of_seed(52, setting, with_what_ifs=True)
    errors = {
        name: evaluate.report(held, *export.run_onnx(BUILT_IN / setting / name / "model.onnx", held))
        for where, name in SHIPPED
        if where == setting
    }
    for kind in ("actual", "what_if"):
        ade = {name: report[kind]["ade"] for name, report in errors.items()}  # type: ignore[index]
        assert min(ade, key=ade.__getitem__) == "scene_transformer", kind
