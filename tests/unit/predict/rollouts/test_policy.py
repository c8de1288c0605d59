"""A policy that cannot work is refused before anything starts."""

import json
from pathlib import Path

import pytest

from services.common.errors import InvalidInput
from services.predict.rollouts.policy import Policy, parse

SCHEMA = Path(__file__).parents[4] / "docs" / "rollout-policy.schema.json"
CANARY = {
    "model": "ghosting",
    "mode": "canary",
    "arms": {"candidate": "2.1.0"},
    "steps": [{"weights": {"candidate": 5}, "seconds": 60}],
}


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        ({"mode": "red-black"}, "policy.mode", "Input should be 'canary'"),
        ({"arms": {"stable": "2.1.0"}}, "policy", "'stable' is the version in service"),
        ({"arms": {"candidate": "two"}}, "policy.arms.candidate", "Invalid version"),
        ({"arms": {"candidate": "2.1.0", "other": "2.2.0"}}, "policy", "canary takes one arm, not 2"),
        ({"arms": {}}, "policy.arms", "at least 1"),
        ({"steps": []}, "policy", "takes 1 to 32 steps, not 0"),
        ({"mode": "blue-green"}, "policy", "blue-green takes 0 to 0 steps"),
        ({"steps": [{"weights": {"candidate": 101}}]}, "policy.steps.0.weights.candidate", "less than or equal to 100"),
        ({"steps": [{"weights": {"other": 5}}]}, "policy", "steps[0].weights: there is no arm 'other'"),
        ({"guardrails": [{"kind": "luck", "limit": 1}]}, "policy.guardrails.0.kind", "'error-rate'"),
        ({"weight": 5}, "policy.weight", "Extra inputs are not permitted"),
    ],
)
def test_a_policy_out_of_form_is_refused_with_the_field(change: dict[str, object], field: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as error:
        parse(CANARY | change)
    told = {violation.field: violation.description for violation in error.value.violations}
    assert problem in told[field]


@pytest.mark.parametrize(("mode", "weights"), [("canary", {"a": 100}), ("ab", {"a": 50, "b": 50}), ("ab", {"a": 99.5})])
def test_stable_is_never_drained(mode: str, weights: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match="stable keeps at least 1%"):
        parse(CANARY | {"mode": mode, "arms": dict.fromkeys(weights, "2.1.0"), "steps": [{"weights": weights}]})


def test_the_schema_in_the_docs_is_that_of_the_code() -> None:
    assert json.loads(SCHEMA.read_text()) == Policy.model_json_schema()
