"""The published experiment: does the score tell the players and a model from spoiled trajectories?"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from benchmarks.score import statistics, subjects, trajectories
from benchmarks.score.statistics import Floats, Rows
from benchmarks.score.subjects import Model, Subject
from ghostback.play import Play
from services.score import metrics
from services.score.profiles import ScoreProfile

SHARES = (0.05, 0.10, 0.25, 0.50, 1.00)


@dataclass(frozen=True)
class Row:
    """Scores of one subject.

    Attributes:
        name: the subject.
        score: mean TS over trajectories.
        score_interval: (2,) its 95% interval.
        play_score: mean over passes.
        play_score_interval: (2,) its 95% interval.
        superhuman_steps: a trajectory.
    """

    name: str
    score: float
    score_interval: Floats
    play_score: float
    play_score_interval: Floats
    superhuman_steps: float


@dataclass(frozen=True)
class Result:
    """What the experiment found.

    Attributes:
        model: the model version.
        setting: `live` or `retrospective`.
        profile: id of the score profile.
        trajectories: number of trajectories.
        passes: number of passes.
        left_out: passes that could not be scored.
        resampled: what the bootstrap resamples.
        rows: the subjects, players first.
    """

    model: str
    setting: str
    profile: str
    trajectories: int
    passes: int
    left_out: int
    resampled: str
    rows: list[Row]


def run(
    plays: Iterable[Play], model: Model, profile: ScoreProfile, spoiling_seed: int, draws: int, resamples: int
) -> Result:
    """Score the players, the model, and the model with a growing share spoiled, on the same trajectories.

    Spoiled in two ways. *paths*: a trajectory goes straight on with a random speed and direction; its
    score is the one to be expected whichever trajectories are spoiled. *starts*: the model is shown
    the random speed and direction before the pass and draws on from there.

    Args:
        plays: the passes.
        model: the model.
        profile: the reading of the score.
        spoiling_seed: of the first draw of random speeds and directions.
        draws: number of draws whose scores are averaged.
        resamples: bootstrap samples of each interval.
    """
    seeds = range(spoiling_seed, spoiling_seed + draws)
    drawn: dict[str, list[Subject]] = {
        "actual": [subjects.actual],
        "model": [model],
        "paths": [subjects.spoiled(subjects.constant_velocity, 1.0, seed) for seed in seeds],
        **{f"starts {share:.0%}": [subjects.spoiled(model, share, seed) for seed in seeds] for share in SHARES},
    }
    every = {f"{name} {draw}": each for name, some in drawn.items() for draw, each in enumerate(some)}
    found = trajectories.gather(plays, every)
    scored = {
        name: [found.score(f"{name} {draw}", profile) for draw in range(len(some))] for name, some in drawn.items()
    }
    scores = {
        name: np.mean([(each.score, each.superhuman_steps) for each in some], axis=0) for name, some in scored.items()
    }
    straight_on = scores.pop("paths")
    scores |= {f"paths {share:.0%}": (1 - share) * scores["model"] + share * straight_on for share in SHARES}
    names = ["actual", "model", *(f"{how} {share:.0%}" for how in ("paths", "starts") for share in SHARES)]
    by_trajectory, superhuman = np.moveaxis(np.array([scores[name] for name in names]), 1, 0)
    near, passes = metrics.nearness(scored["actual"][0], profile), found.passes
    by_pass = np.array([np.bincount(passes, near * each) for each in by_trajectory]) / np.bincount(passes, near)
    resampled, cluster = found.clusters
    of_pass = cluster[np.unique(passes, return_index=True)[1]]

    def bounds(values: Floats, of: Rows) -> Floats:
        return statistics.interval(lambda rows: values[:, rows].mean(axis=1), of, resamples).T

    columns = (
        by_trajectory.mean(axis=1).tolist(),
        bounds(by_trajectory, cluster),
        by_pass.mean(axis=1).tolist(),
        bounds(by_pass, of_pass),
        superhuman.mean(axis=1).tolist(),
    )
    rows = [Row(*each) for each in zip(names, *columns, strict=True)]
    counts = len(found), by_pass.shape[1], found.left_out
    return Result(model.id, model.setting, profile.id, *counts, resampled, rows)
