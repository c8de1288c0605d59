"""Trajectories of a simulated game, and of what would have been, shared by the tests."""

import pytest

from benchmarks.score import subjects, trajectories
from benchmarks.score.subjects import Model
from benchmarks.score.trajectories import Trajectories

SEEDS = (60_001, 60_002)
SPOILED = subjects.spoiled(subjects.constant_velocity, 1.0, 1)


@pytest.fixture(scope="session")
def model() -> Model:
    return subjects.load("ghosting")


@pytest.fixture(scope="session")
def passes() -> Trajectories:
    return trajectories.gather(trajectories.simulated(SEEDS, 60), {"actual": subjects.actual, "spoiled": SPOILED})


@pytest.fixture(scope="session")
def what_ifs(model: Model) -> Trajectories:
    return trajectories.gather(
        trajectories.simulated(SEEDS, 20, what_ifs=True),
        {
            "actual": subjects.actual,
            model.id: model,
            "constant velocity": subjects.constant_velocity,
            "spoiled": SPOILED,
        },
    )
