"""The access policy: every method has its roles, and a policy out of form is refused."""

import json
from pathlib import Path

import pytest

from ghostback.features.v1 import features_service_pb2
from ghostback.ingest.v1 import ingest_service_pb2
from ghostback.predict.v1 import predict_service_pb2, rollout_service_pb2
from ghostback.score.v1 import score_service_pb2, statistics_service_pb2
from ghostback.tracking.v1 import operation_service_pb2
from services.common.authorization import DEFAULT, Policy, Role, parse

ROOT = Path(__file__).parents[3]
FILES = (
    *(features_service_pb2, ingest_service_pb2, predict_service_pb2),
    *(rollout_service_pb2, score_service_pb2, statistics_service_pb2, operation_service_pb2),
)
TOKENS = {"issuer": "https://login.test", "audience": "ghostback", "keys": "keys.json"}


def test_every_method_of_the_contract_has_roles_and_no_other() -> None:
    methods = {
        f"/{service.full_name}/{method.name}"
        for file in FILES
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert DEFAULT.keys() == methods


def test_an_admin_may_call_everything_and_a_reader_nothing_that_changes_something() -> None:
    assert all(Role.ADMIN in roles for roles in DEFAULT.values())
    asks = ("Get", "List", "Watch", "Wait", "Preview", "Compute", "Predict", "Score", "Evaluate", "Rate")
    for method, roles in DEFAULT.items():
        assert (Role.READER in roles) == method.rpartition("/")[2].startswith(asks), method


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        ("certificates: {a.test: [owner]}", "certificates.a.test"),
        ("certificate: {}", "Extra inputs"),
        ("methods: {/ghostback.score.v1.ScoreService/Score: [reader]}", "there is no /ghostback.score"),
        ("subjects: {ann: [admin]}", "no token is taken"),
        (json.dumps({"tokens": TOKENS | {"algorithms": ["HS256"]}}), "tokens.algorithms"),
        (json.dumps({"tokens": TOKENS | {"algorithms": ["none"]}}), "tokens.algorithms"),
        (json.dumps({"tokens": TOKENS | {"algorithms": []}}), "tokens.algorithms"),
        (json.dumps({"tokens": TOKENS | {"audience": ""}}), "tokens.audience"),
        ("certificates: [", "not YAML"),
        ("", "valid dictionary"),
    ],
)
def test_a_policy_out_of_form_is_refused_with_the_field(policy: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse(policy)


def test_the_example_keeps_to_the_schema_in_the_docs_which_is_that_of_the_code() -> None:
    assert parse((ROOT / "deploy" / "access-policy.yaml").read_text()).subjects
    assert json.loads((ROOT / "docs" / "access-policy.schema.json").read_text()) == Policy.model_json_schema()
