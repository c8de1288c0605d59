"""How good a model is, on games it never saw, beside its baselines."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from services.score import metrics, profiles
from training.dataset import Rows

Float = NDArray[np.float32]
Predictor = Callable[[Rows], Float]

STEPS_SHOWN = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20)
MAX_STEP = 1.247


def stay(rows: Rows) -> Float:
    """Everyone stays where he was."""
    return np.zeros_like(rows.displacement)


def constant_velocity(rows: Rows) -> Float:
    """Everyone goes on as he moved at pass forward."""
    steps = np.arange(1, rows.displacement.shape[1] + 1, dtype=np.float32)[:, None]
    displacement: Float = rows.defender[:, -1:, 2:4] * np.float32(0.1) * steps
    return displacement


def to_the_catch_point(rows: Rows) -> Float:
    """Everyone turns at once and runs to the place of arrival at the speed he had."""
    speed = np.linalg.norm(rows.defender[:, -1, 2:4], axis=-1)[:, None, None]
    place = rows.receiver[:, -1:, :2]
    distance = np.linalg.norm(place, axis=-1, keepdims=True)
    run = np.minimum(0.1 * speed * np.arange(1, rows.displacement.shape[1] + 1)[None, :, None], distance)
    return np.asarray(place * run / np.maximum(distance, 1e-6), np.float32)


BASELINES: dict[str, Predictor] = {
    "stay": stay,
    "constant velocity": constant_velocity,
    "straight to the catch point": to_the_catch_point,
}


def errors(predicted: Float, rows: Rows) -> dict[str, float | dict[str, float]]:
    """Displacement errors, yards: average and final, and at single steps over the passes that last so long."""
    distance = np.linalg.norm(predicted - rows.displacement, axis=-1)
    final = distance[np.arange(len(rows)), rows.air_steps - 1]
    at_step = {
        str(step): float(distance[rows.air_steps >= step, step - 1].mean())
        for step in STEPS_SHOWN
        if step <= rows.air_steps.max()
    }
    return {"ade": float(distance[rows.in_air].mean()), "fde": float(final.mean()), "at_step": at_step}


def trajectory_score(displacement: Float, rows: Rows) -> float:
    """Mean trajectory score under the default profile."""
    scores = []
    for steps in np.unique(rows.air_steps):
        chosen = rows.air_steps == steps
        paths = np.concatenate([np.zeros((chosen.sum(), 1, 2)), displacement[chosen, :steps]], axis=1)
        receivers = rows.receiver[chosen, 4 : 5 + steps, :2].astype(np.float64)
        for path, receiver in zip(paths, receivers, strict=True):
            scores.append(metrics.score_trajectories(path[None], receiver, profiles.DEFAULT).score[0])
    return float(np.mean(scores))


def report(model: Predictor, test: Rows, what_ifs: Rows) -> dict[str, object]:
    """Errors of the model and every baseline on the actual targets and on the what-ifs, and trajectory scores."""
    truly_what_if = what_ifs.take(what_ifs.what_if)
    predictors = BASELINES | {"model": model}
    return {
        "test": {"rows": len(test)} | {name: errors(predict(test), test) for name, predict in predictors.items()},
        "what_if": {"rows": len(truly_what_if)}
        | {name: errors(predict(truly_what_if), truly_what_if) for name, predict in predictors.items()},
        "trajectory_score": {
            "actual": trajectory_score(test.displacement, test),
            **{name: trajectory_score(predict(test), test) for name, predict in predictors.items()},
        },
    }
