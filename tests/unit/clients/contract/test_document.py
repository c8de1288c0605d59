"""Contracts as files: what is taken, and what is refused with which words."""

import json
import re
from pathlib import Path

import pytest

from ghostback.contract import descriptors, document, offline
from ghostback.contract.document import ContractError

CONTRACTS = Path(__file__).parents[4] / "protos" / "contracts"
GOOD = """
consumer: overlay
variables: {play: a pass}
interactions:
  - name: a play is there
    call: ghostback.ingest.v1.IngestService/GetPlay
    request: {name: $play}
    response: {play.name: $play, play.state: PLAY_STATE_COMPLETE, play.sample_rate_hz: {range: [1, 240]}}
    capture: {target: play.forward_pass.target_id}
  - name: it has ghosts for who was targeted
    call: ghostback.predict.v1.PredictService/PredictGhosts
    request: {source: {name: $play}, target_ids: [$target]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "contract.yaml"
    path.write_text(GOOD)
    return path


def test_a_plain_value_in_place_of_a_matcher_means_equal(file: Path) -> None:
    first, second = document.read(file).interactions
    assert first.response["play.state"].equal == "PLAY_STATE_COMPLETE"
    filled = second.filled({"play": "games/1/plays/2", "target": "NE-87"})
    assert filled.sent == [{"source": {"name": "games/1/plays/2"}, "target_ids": ["NE-87"]}]


def test_a_variable_may_stand_for_a_whole_value_or_within_a_text(file: Path) -> None:
    file.write_text(GOOD.replace("{name: $play}\n", "{name: $play/again, mask: $play, cost: $$5}\n"))
    filled = document.read(file).interactions[0].filled({"play": ["a"], "target": ""})
    assert filled.sent[0]["mask"] == ["a"]
    assert filled.sent[0]["cost"] == "$5"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("variables: {play: a pass}", "variables: {}", "uses $play, which is neither in `variables` nor captured"),
        ("[$target]", "[$receiver]", "uses $receiver"),
        ("range:", "between:", "between"),
        ("{range: [1, 240]}", "{}", "says nothing"),
        ("{range: [1, 240]}", "{regex: '('}", "is no regular expression"),
        ("play.name:", "play..name:", "is no path"),
        ("    request: {name: $play}\n", "", "give `request`"),
        ("play.forward_pass.target_id", "'play.participants[*].participant_id'", "takes one value"),
        ("    capture:", "    error: {code: NO_SUCH}\n    capture:", "NO_SUCH is no error code of gRPC"),
        ("    capture:", "    error: {code: NOT_FOUND}\n    capture:", "a call that must fail has no"),
        ("IngestService/GetPlay", "IngestService.GetPlay", "interactions.0.call"),
        ("predict.v1.PredictService", "tracking.v1.OperationService", "say with `server` which of ingest, features"),
        ("consumer: overlay", "consumer: [", "is no YAML"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(file: Path, before: str, after: str, said: str) -> None:
    assert before in GOOD
    file.write_text(GOOD.replace(before, after))
    with pytest.raises(ContractError, match=str(file)) as error:
        document.read(file)
    assert said in str(error.value)


def test_a_folder_means_every_contract_below_it_once(file: Path, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "other.yaml").write_text(GOOD)
    assert document.files([tmp_path, file]) == [file, tmp_path / "deep" / "other.yaml"]
    with pytest.raises(ContractError, match="no contract is at"):
        document.files([tmp_path / "nowhere"])


def test_the_example_of_the_documentation_is_a_contract(tmp_path: Path) -> None:
    (example,) = re.findall(
        r"```yaml\n(.*?)```", (CONTRACTS.parents[1] / "docs" / "contract.md").read_text(), re.DOTALL
    )
    (tmp_path / "example.yaml").write_text(example)
    contract = document.read(tmp_path / "example.yaml")
    assert not [each for outcome in offline.verify(contract, descriptors.of_stubs()) for each in outcome.findings]


def test_the_published_schema_is_that_of_the_code() -> None:
    assert json.loads((CONTRACTS / "contract.schema.json").read_text()) == document.schema()
