"""Fitting trees to scenes."""

import lightgbm
import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from training.fit import BACKS, Options, mirrored, tensors
from training.networks.base import HORIZON, STEP_SECONDS
from training.networks.step_trees import KNOTS, DefenderFeatures, StepTrees
from training.scenes import Float, Scenes

LEAST_ROWS = 400
"""Trajectories that a knot needs."""
ROUNDS, PATIENCE = 80, 10
"""Trees of each knot and coordinate at most, and how many may come without a better validation error."""
_PARAMETERS = {
    "objective": "regression",
    "num_leaves": 31,
    "max_bin": 63,
    "min_data_in_leaf": 40,
    "lambda_l2": 5.0,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


def fit(network: StepTrees, train: Scenes, validation: Scenes, learning_rate: float, options: Options) -> None:
    """Grow the trees of a network, knot after knot, until they say no better where validation defenders went.

    Every scene is given as it is and mirrored across the field. A knot that too few flights last to has no trees.

    Args:
        network: to fit.
        train: to fit to.
        validation: to choose the number of trees by.
        learning_rate: of boosting.
        options: the seed, and the checkpoint that the trees of each knot are kept in; epochs and patience are
            those of other networks.

    Raises:
        ValueError: there are too few trajectories.
    """
    checkpoint = options.checkpoint
    grown: dict[int, list[str]] = torch.load(checkpoint) if checkpoint and checkpoint.exists() else {}
    both = Scenes.concatenate([train, mirrored(train, np.ones(len(train), np.bool_))])
    (features, departures, counts), held = _rows(both), _rows(validation)
    parameters = _PARAMETERS | {
        "learning_rate": learning_rate,
        "seed": options.seed,
        "num_threads": torch.get_num_threads(),
    }
    for knot in track(KNOTS, "growing trees", disable=not options.show):
        rows, held_rows = counts[:, knot - 1], held[2][:, knot - 1]
        if knot not in grown:
            if rows.sum() < LEAST_ROWS or not held_rows.any():
                break
            boosters = []
            for coordinate in range(2):
                data = lightgbm.Dataset(features[rows], departures[rows, knot - 1, coordinate])
                valid = data.create_valid(held[0][held_rows], held[1][held_rows, knot - 1, coordinate])
                stop = lightgbm.early_stopping(PATIENCE, verbose=False)
                boosters.append(lightgbm.train(parameters, data, ROUNDS, [valid], callbacks=[stop]))
            grown[knot] = [booster.model_to_string() for booster in boosters]
            if options.log:
                squared = sum(booster.best_score["valid_0"]["l2"] for booster in boosters)
                trees = sum(booster.best_iteration for booster in boosters)
                options.log(knot, {"validation_rmse": squared**0.5, "trees": trees})
            if checkpoint:
                checkpoint.parent.mkdir(parents=True, exist_ok=True)
                torch.save(grown, checkpoint)
        x, y = (lightgbm.Booster(model_str=text) for text in grown[knot])
        network.trees[knot] = (x, y)
    if not network.trees:
        n = int(counts[:, 0].sum())
        raise ValueError(f"trees need {LEAST_ROWS} trajectories to train on, mirrored ones too; there are {n}")


def _rows(scenes: Scenes) -> tuple[Float, Float, NDArray[np.bool_]]:
    """Of each defender of scenes: features, departures (n, 40, 2) from constant velocity, and which steps count."""
    with torch.no_grad():
        features, velocity = (part.numpy() for part in DefenderFeatures(BACKS)(**tensors(scenes)))
    onward = velocity[:, None] * (STEP_SECONDS * np.arange(1, HORIZON + 1, dtype=np.float32))[:, None]
    went = scenes.displacement[:, :BACKS].reshape(-1, HORIZON, 2)
    return features, went - onward, scenes.counts[:, :BACKS].reshape(-1, HORIZON)
