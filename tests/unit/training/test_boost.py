"""Trees for each step, from fitting to the artifact."""

from pathlib import Path

import numpy as np
import pytest
import torch

from simulator.game import simulate_game
from training import boost, export, fit, scenes
from training.fit import Options
from training.networks.step_trees import KNOTS, DeparturesAdded, StepTrees
from training.scenes import Scenes, feature_set_of
from training.zoo import ZOO


def passes_of(seed: int) -> Scenes:
    return Scenes.concatenate(scenes.of_plays(simulate_game(seed, 60).plays, "live", seed))


@pytest.fixture(scope="module")
def games() -> list[Scenes]:
    return [passes_of(seed) for seed in (71, 72, 73)]


def grown(games: list[Scenes], options: Options) -> StepTrees:
    network = StepTrees()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boost, "LEAST_ROWS", 200)
        patch.setattr(boost, "ROUNDS", 20)
        boost.fit(network, games[0], games[1], 0.1, options)
    return network


@pytest.fixture(scope="module")
def network(games: list[Scenes]) -> StepTrees:
    return grown(games, Options())


def test_trees_know_better_than_constant_velocity_where_defenders_of_another_game_go(
    games: list[Scenes], network: StepTrees
) -> None:
    floor = fit.root_mean_square(fit.predict(ZOO["constant_velocity"].build(), games[2])[0], games[2])
    assert fit.root_mean_square(fit.predict(network, games[2])[0], games[2]) < 0.9 * floor


def test_a_knot_that_few_flights_last_to_has_no_trees(games: list[Scenes], network: StepTrees) -> None:
    n = len(network.trees)
    assert tuple(network.trees) == KNOTS[:n]
    lasting = 2 * games[0].counts.sum(axis=(0, 1))
    assert lasting[KNOTS[n - 1] - 1] >= 200 > lasting[KNOTS[n] - 1]


def test_too_few_trajectories_are_refused(games: list[Scenes]) -> None:
    with pytest.raises(ValueError, match=r"trees need 400 trajectories to train on, mirrored ones too; there are \d+"):
        boost.fit(StepTrees(), games[0].take(np.arange(9)), games[1], 0.1, Options())


def test_between_knots_the_departure_grows_evenly_and_after_the_last_one_no_more() -> None:
    departures = torch.tensor([[0.1, 0.0, 0.2, 0.0, 0.6, -0.2]])
    added = DeparturesAdded((1, 2, 4), defenders=1)(departures, torch.tensor([[5.0, 0.0]]))
    onward = 0.5 * torch.arange(1, 7)
    expected = torch.tensor([[0.1, 0.0], [0.2, 0.0], [0.4, -0.1], [0.6, -0.2], [0.6, -0.2], [0.6, -0.2]])
    torch.testing.assert_close(added[0, 0, :6] - torch.stack([onward, 0 * onward], dim=1), expected)


def test_stopped_between_knots_growing_goes_on_to_the_same_trees(
    games: list[Scenes], network: StepTrees, tmp_path: Path
) -> None:
    def stop(knot: int, figures: dict[str, float]) -> None:
        assert figures["validation_rmse"] > 0
        if knot == 3:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "trees.pt"
    with pytest.raises(KeyboardInterrupt):
        grown(games, Options(checkpoint=checkpoint, log=stop))
    told: list[int] = []
    again = grown(games, Options(checkpoint=checkpoint, log=lambda knot, _: told.append(knot)))
    assert told == list(again.trees)[2:]
    np.testing.assert_array_equal(fit.predict(again, games[2])[0], fit.predict(network, games[2])[0])


def test_the_artifact_answers_as_lightgbm_does_for_every_pass_of_a_game(
    games: list[Scenes], network: StepTrees, tmp_path: Path
) -> None:
    export.export_onnx(network, feature_set_of("live"), tmp_path / "model.onnx")
    for n in (1, len(games[2])):
        some = games[2].take(np.arange(n))
        answer, covariance = export.run_onnx(tmp_path / "model.onnx", some)
        assert covariance is None
        assert answer.shape == (n, 11, 40, 2)
        np.testing.assert_allclose(answer, fit.predict(network, some)[0], atol=1e-3)
