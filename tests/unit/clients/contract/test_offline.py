"""Contracts against descriptors: what a consumer relies on and is not there is found, and said."""

from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

from ghostback.contract import descriptors, document, offline
from ghostback.contract.document import Contract, ContractError

CONTRACTS = Path(__file__).parents[4] / "protos" / "contracts"
POOL = descriptors.of_stubs()
SERVICES = (
    "ghostback.ingest.v1.IngestService",
    "ghostback.features.v1.FeaturesService",
    "ghostback.predict.v1.PredictService",
    "ghostback.score.v1.ScoreService",
)
Files = dict[str, FileDescriptorProto]


def contract(**interaction: object) -> Contract:
    ghosts = {
        "name": "ghosts of a play",
        "call": "ghostback.predict.v1.PredictService/PredictGhosts",
        "request": {"source": {"name": "games/1/plays/2"}},
    }
    return Contract.model_validate({"consumer": "overlay", "interactions": [ghosts | interaction]})


def found(checked: Contract) -> list[tuple[str, str]]:
    return [(each.path, each.got) for outcome in offline.verify(checked, POOL) for each in outcome.findings]


@pytest.mark.parametrize("file", document.files([CONTRACTS]), ids=lambda file: file.stem)
def test_our_consumers_contracts_are_kept(file: Path) -> None:
    assert found(document.read(file)) == []


@pytest.mark.parametrize(
    ("interaction", "path", "got"),
    [
        ({"call": "ghostback.predict.v2.PredictService/PredictGhosts"}, "call", "no service ghostback.predict.v2"),
        (
            {"call": "ghostback.predict.v1.PredictService/Guess"},
            "call",
            "has PredictGhosts, PredictPassOutcomes, PredictYardsAfterCatch",
        ),
        ({"request": {"play": "games/1"}}, "request", 'no field named "play"'),
        ({"request": {"source": {"name": 3}}}, "request", "name"),
        ({"request": None, "requests": [{}]}, "requests", "takes one request"),
        ({"reads": 2}, "reads", "gives one response"),
        (
            {"call": "ghostback.ingest.v1.IngestService/WatchPlays", "request": {}},
            "response",
            "say with `reads` how many",
        ),
        (
            {"call": "ghostback.ingest.v1.IngestService/StreamTags", "request": {}, "reads": 1},
            "request",
            "give `requests`",
        ),
        ({"response": {"ghosts[*].route.x": {"present": True}}}, "response.ghosts[*].route.x", "has no field route"),
        ({"response": {"ghosts.path.x": {"present": True}}}, "response.ghosts.path.x", "ghosts is a list"),
        ({"response": {"arm[0]": "stable"}}, "response.arm[0]", "arm is no list"),
        (
            {"response": {"ghosts[*].path.x": {"type": "repeated double"}}},
            "response.ghosts[*].path.x",
            "repeated float",
        ),
        ({"response": {"arm": {"range": [0, 1]}}}, "response.arm", "type string"),
        ({"response": {"targets[*].air_steps": {"regex": "1"}}}, "response.targets[*].air_steps", "type uint32"),
        ({"response": {"targets[*].air_steps": {"equal": 1.5}}}, "response.targets[*].air_steps", "type uint32"),
        ({"response": {"targets[*].actual": {"length": 1}}}, "response.targets[*].actual", "type bool"),
        ({"response": {"setting": {"each": {"present": True}}}}, "response.setting", "Setting"),
        ({"response": {"setting": "SETTING_PSYCHIC"}}, "response.setting", "SETTING_LIVE"),
        ({"response": {"setting": {"one_of": ["SETTING_LIVE", "SETTING_LATE"]}}}, "response.setting", "SETTING_LIVE"),
        (
            {"response": {"ghosts[*].path.x": {"each": {"regex": "1"}}}},
            "response.ghosts[*].path.x[*]",
            "type float",
        ),
        ({"capture": {"version": "model"}}, "capture.version", "has no field model"),
        ({"error": {"code": "NOT_FOUND", "reason": "PLAY_LOST"}}, "error.reason", "no such reason"),
    ],
)
def test_what_is_not_there_is_found(interaction: dict[str, object], path: str, got: str) -> None:
    ((where, why),) = found(contract(**interaction))
    assert where == path
    assert got in why


def test_a_path_leads_into_what_an_operation_made() -> None:
    at = "operation.response[ghostback.score.v1.EvaluateModelResult].scores[*].play_count"
    wait = {"call": "ghostback.tracking.v1.OperationService/WaitOperation", "server": "score", "request": {}}
    assert found(contract(**wait, response={at: {"type": "integer"}})) == []
    ((_, why),) = found(contract(**wait, response={at.replace("Result", "Riddle"): {"present": True}}))
    assert "no message ghostback.score.v1.EvaluateModelRiddle" in why


@pytest.fixture(scope="module")
def files() -> Files:
    """The installed descriptors with their imports, by file."""
    files: Files = {}

    def add(file: FileDescriptor) -> None:
        for dependency in file.dependencies:
            add(dependency)
        files[file.name] = FileDescriptorProto()
        file.CopyToProto(files[file.name])

    for service in (*SERVICES, "ghostback.predict.v1.ModelService"):
        add(POOL.FindServiceByName(service).file)
    add(POOL.FindEnumTypeByName("ghostback.tracking.v1.ErrorReason").file)
    return files


def message(files: Files, name: str) -> DescriptorProto:
    package, _, short = name.rpartition(".")
    return next(
        each for file in files.values() if file.package == package for each in file.message_type if each.name == short
    )


def field(files: Files, name: str) -> FieldDescriptorProto:
    owner, _, short = name.rpartition(".")
    return next(each for each in message(files, owner).field if each.name == short)


def rename_a_field(files: Files) -> None:
    field(files, "ghostback.tracking.v1.Ghost.path").name = "route"


def retype_a_column(files: Files) -> None:
    field(files, "ghostback.tracking.v1.Path.x").type = FieldDescriptorProto.TYPE_DOUBLE


def make_a_list_of_one(files: Files) -> None:
    field(files, "ghostback.tracking.v1.Target.receiver").label = FieldDescriptorProto.LABEL_REPEATED


def remove_a_request_field(files: Files) -> None:
    fields = message(files, "ghostback.predict.v1.PredictGhostsRequest").field
    fields.remove(next(each for each in fields if each.name == "target_ids"))


def remove_a_method(files: Files) -> None:
    methods = files["ghostback/ingest/v1/ingest_service.proto"].service[0].method
    methods.remove(next(each for each in methods if each.name == "WatchPlays"))


def answer_once(files: Files) -> None:
    methods = files["ghostback/ingest/v1/ingest_service.proto"].service[0].method
    next(each for each in methods if each.name == "WatchPlays").server_streaming = False


def rename_a_reason(files: Files) -> None:
    values = files["ghostback/tracking/v1/error_reason.proto"].enum_type[0].value
    next(each for each in values if each.name == "ERROR_REASON_PLAY_UNKNOWN").name = "ERROR_REASON_NO_PLAY"


def rename_an_enum_value(files: Files) -> None:
    values = next(e for e in files["ghostback/tracking/v1/play.proto"].enum_type if e.name == "PlayState").value
    next(each for each in values if each.name == "PLAY_STATE_COMPLETE").name = "PLAY_STATE_OVER"


@pytest.mark.parametrize(
    "edit",
    [
        rename_a_field,
        retype_a_column,
        make_a_list_of_one,
        remove_a_request_field,
        remove_a_method,
        answer_once,
        rename_a_reason,
        rename_an_enum_value,
    ],
)
def test_a_change_that_breaks_the_overlay_is_found_in_an_image(
    files: Files, tmp_path: Path, edit: Callable[[Files], None]
) -> None:
    overlay = document.read(CONTRACTS / "live-overlay" / "overlay.yaml")
    edited = {name: FileDescriptorProto.FromString(file.SerializeToString()) for name, file in files.items()}
    image = tmp_path / "image.binpb"
    for state in (False, True):
        if state:
            edit(edited)
        image.write_bytes(descriptor_pb2.FileDescriptorSet(file=edited.values()).SerializeToString())
        outcomes = offline.verify(overlay, descriptors.of_image(image))
        assert any(outcome.findings for outcome in outcomes) is state


def test_a_file_that_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"what is this")
    with pytest.raises(ContractError, match="is no image"):
        descriptors.of_image(tmp_path / "image")
    with pytest.raises(ContractError, match="cannot be read"):
        descriptors.of_image(tmp_path / "nowhere")
