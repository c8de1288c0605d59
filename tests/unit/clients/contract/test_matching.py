"""What a matcher takes and refuses, by the values of real messages."""

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage

from ghostback.contract import matching, paths
from ghostback.contract.document import Matcher
from ghostback.contract.paths import PathError
from ghostback.predict.v1.predict_service_pb2 import PredictGhostsResponse
from ghostback.score.v1.score_service_pb2 import EvaluateModelResult
from ghostback.tracking.v1.operation_service_pb2 import GetOperationResponse, Operation
from ghostback.tracking.v1.source_pb2 import SETTING_LIVE, Ghost, Path, Target

RESPONSE = PredictGhostsResponse(
    model_version="models/ghosting/versions/2.1.0",
    setting=SETTING_LIVE,
    targets=[Target(participant_id="NE-87", actual=True, air_steps=2)],
    ghosts=[
        Ghost(defender_id="NYG-24", path=Path(x=[10.1, 11, 12], y=[5, 5, 5])),
        Ghost(defender_id="NYG-28", path=Path(x=[20, 21, float("nan")], y=[5, 5, 5])),
    ],
)


def differences(path: str, matcher: dict[str, object]) -> list[tuple[str, str]]:
    wanted = Matcher.model_validate(matcher)
    return [
        (each.path, each.got)
        for where, value in paths.find(RESPONSE, path)
        for each in matching.differences(wanted, value, where)
    ]


@pytest.mark.parametrize(
    ("path", "matcher"),
    [
        ("model_version", {"regex": r"models/ghosting/versions/\d+\.\d+\.\d+"}),
        ("setting", {"equal": "SETTING_LIVE"}),
        ("setting", {"one_of": ["SETTING_RETROSPECTIVE", "SETTING_LIVE"]}),
        ("targets", {"length": 1}),
        ("targets[0].actual", {"equal": True}),
        ("targets[*].air_steps", {"range": [1, None], "equal": 2}),
        ("targets[0].receiver", {"present": False}),
        ("ghosts[0].path", {"present": True, "type": "ghostback.tracking.v1.Path"}),
        ("ghosts[0].path.x[0]", {"equal": 10.1}),
        ("ghosts[0].path.x", {"length": [2, 5], "each": {"range": [10, 12]}}),
        ("ghosts[1].path.x[1]", {"close": {"to": 21.05, "within": 0.1}}),
        ("arm", {"present": False}),
        ("arm", {"type": "string"}),
        ("skipped", {"length": [None, 0]}),
    ],
)
def test_what_holds_has_no_difference(path: str, matcher: dict[str, object]) -> None:
    assert differences(path, matcher) == []


@pytest.mark.parametrize(
    ("path", "matcher", "where", "got"),
    [
        ("model_version", {"regex": "models/ghosting"}, "model_version", '"models/ghosting/versions/2.1.0"'),
        ("setting", {"equal": "SETTING_RETROSPECTIVE"}, "setting", '"SETTING_LIVE"'),
        ("targets", {"length": [2, None]}, "targets", "1 values"),
        ("targets[1].actual", {"equal": True}, "targets[1]", "nothing"),
        ("targets[0].receiver.x", {"type": "repeated float"}, "targets[0].receiver", "nothing"),
        ("arm", {"present": True}, "arm", '""'),
        ("model_version", {"present": False}, "model_version", '"models/ghosting/versions/2.1.0"'),
        ("ghosts[1].path.x", {"each": {"range": [0, 100]}}, "ghosts[1].path.x[2]", "NaN"),
        ("ghosts[1].path.x[2]", {"close": {"to": 22, "within": 1}}, "ghosts[1].path.x[2]", "NaN"),
        ("ghosts[*].target_id", {"present": True}, "ghosts[0].target_id", '""'),
    ],
)
def test_what_does_not_hold_is_told_with_its_place(path: str, matcher: dict[str, object], where: str, got: str) -> None:
    assert differences(path, matcher)[0] == (where, got)


def test_of_many_differences_the_first_are_told() -> None:
    wanted = Matcher.model_validate({"each": {"range": [0, 1]}})
    told = matching.told(list(matching.differences(wanted, [5.0] * 1000, "path.x")))
    assert told.startswith("path.x[0]\n  expected  range [0, 1]\n  got       5.0")
    assert told.endswith("and 990 more differences")


def test_each_of_no_values_is_a_difference() -> None:
    assert differences("skipped[*].participant_id", {"present": True}) == [("skipped[*]", "nothing")]


def test_an_any_is_looked_into_as_the_type_that_is_in_it() -> None:
    packed = AnyMessage()
    packed.Pack(EvaluateModelResult(model_version="models/ghosting/versions/1.0"))
    response = GetOperationResponse(operation=Operation(response=packed))
    right = "operation.response[ghostback.score.v1.EvaluateModelResult].model_version"
    wrong = "operation.response[ghostback.score.v1.EvaluateModelMetadata].done_count"
    assert [value for _, value in paths.find(response, right)] == ["models/ghosting/versions/1.0"]
    assert [value for _, value in paths.find(response, wrong)] == [paths.ABSENT]


@pytest.mark.parametrize("path", ["", ".", "a.", "a..b", "a[", "a[x y]", "a[-1]", "[0]", "a b"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(PathError, match="is no path"):
        paths.parse(path)
