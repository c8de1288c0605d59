"""What is counted while a candidate answers, and while it fails to."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from services.features.feature_sets import FEATURE_SETS
from services.predict import registry
from services.predict.registry import ModelVersion
from services.predict.rollouts import guardrails
from services.predict.rollouts.answering import Answering
from services.predict.rollouts.guardrails import Guardrail, Kind, Verdict
from services.predict.routing import Decision
from tests.unit.predict.rollouts.rollout import rollout

ROLLOUT = rollout()


@dataclass(frozen=True)
class Answer:
    seconds: float = 0.01
    inputs: dict[str, np.ndarray] = field(default_factory=lambda: {"ball": np.zeros((1, 3), np.float32)})
    superhuman: bool = False


@pytest.fixture(scope="module")
def versions() -> dict[str, ModelVersion]:
    found = registry.discover(FEATURE_SETS).versions
    return {"stable": found["ghosting-2.0.0"], "candidate": found["ghosting-1.0.0"]}


async def test_a_candidate_that_answers_everything_and_fails_every_call_is_found_out(
    versions: dict[str, ModelVersion],
) -> None:
    """Stable has no calls of its own: what it answers in the candidate's place is what that is held against."""

    async def attempt(version: ModelVersion) -> Answer:
        if version is versions["candidate"]:
            raise RuntimeError("it fails")
        return Answer()

    answering = Answering[Answer](patience=1)
    decision = Decision(versions["stable"], "candidate", versions["candidate"], ROLLOUT)
    for _ in range(20):
        arm, answer = await answering.answer(decision, attempt)
        assert arm == "stable"
        answering.conclude(decision, arm, answer, attempt)
    counted = answering.counted(ROLLOUT.name)
    assert {arm: (tally.calls, tally.errors) for arm, tally in counted.items()} == {
        "candidate": (20, 20),
        "stable": (20, 0),
    }
    rail = Guardrail(kind=Kind.ERROR_RATE, limit=0.05)
    assert guardrails.read([rail], 0.05, counted["stable"], counted["candidate"])[0].verdict is Verdict.FAIL
