"""What a release promised is kept, what it gave up never comes back, and a finding says what to do instead."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from protos import images
from protos.compatibility import breaking, check, units_changed
from protos.images import PROTOS, compile_protos
from protos.release import release
from tests.contract.edits import INGEST, PLAY, REASON, SAMPLES, Edit

KIND = "ParticipantKind kind = 2;"
NAME = "string display_name = 3;"
NAME_RESERVED = 'reserved 3;\n  reserved "display_name";'

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Makes the image of a version: the contract after some edits of (file, before, after)."""

    @cache
    def make(version: str, *edits: tuple[str, str, str]) -> Path:
        folder = tmp_path_factory.mktemp("version")
        shutil.copytree(PROTOS / "ghostback", folder / "ghostback")
        for edit in edits:
            Edit("", *edit).apply(folder)
        return compile_protos(folder, folder / f"{version}.binpb")

    return make


def test_nothing_that_was_released_is_broken(make: Make) -> None:
    assert images.releases()
    assert "\n".join(map(str, check(make("now"), images.releases()))) == ""


def test_nothing_breaks_consumers_of_the_previous_commit(make: Make, tmp_path: Path) -> None:
    previous = images.compile_commit("HEAD~1", tmp_path)
    if previous is None:
        pytest.skip("there is no previous commit")
    assert "\n".join(map(str, check(make("now"), [], previous))) == ""


@pytest.mark.parametrize(
    ("edit", "subject", "rule", "instead"),
    [
        ((PLAY, NAME, ""), "Participant.display_name", "FIELD_NO_DELETE", "[deprecated = true]"),
        ((PLAY, NAME, "string full_name = 3;"), "Participant.display_name", "FIELD_SAME_JSON_NAME", "keep the name"),
        ((SAMPLES, "float x = 4;", "double x = 4;"), "Samples.x", "FIELD_SAME_TYPE", "the next free number"),
        ((REASON, "GAME_UNKNOWN = 11", "NO_GAME = 11"), "ERROR_REASON_GAME_UNKNOWN", "ENUM_VALUE_", "add a value"),
        ((INGEST, "rpc GetGame(", "rpc Game("), "IngestService.GetGame", "RPC_NO_DELETE", "option deprecated = true;"),
        ((INGEST, "(stream StreamTagsRequest)", "(StreamTagsRequest)"), "StreamTags", "RPC_SAME_", "add one"),
        ((PLAY, "message Event {", "message Happening {"), "tracking.v1.Event", "MESSAGE_NO_DELETE", "package `v2`"),
        ((SAMPLES, "along the field, yards", "along the field, feet"), "Samples.x", "UNIT_SAME", "the released units"),
    ],
)  # fmt: skip
def test_a_finding_names_rule_and_field_and_what_to_do_instead(
    make: Make, edit: tuple[str, str, str], subject: str, rule: str, instead: str
) -> None:
    more = [(PLAY, "repeated Event ", "repeated Happening ")] if "Happening" in edit[2] else []
    found = {finding.subject: finding for finding in check(make("now", edit, *more), images.releases())}
    finding = next(found[name] for name in found if name.endswith(f".{subject}"))
    assert rule in finding.rules[0]
    assert instead in finding.instead
    assert finding.place.startswith(f"ghostback/{edit[0]}:")
    assert finding.subject in str(finding)
    assert finding.instead in str(finding)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ((PLAY, KIND, KIND), "without reserving"),
        ((PLAY, KIND, f"{KIND}\n  reserved 3;"), "without reserving the name"),
        ((PLAY, KIND, f'{KIND}\n  reserved "display_name";'), "without reserving the number"),
        ((PLAY, KIND, f"{KIND}\n  repeated string display_name = 3;"), "changed cardinality"),
        ((PLAY, KIND, f"{KIND}\n  uint64 display_name = 3;"), "changed type"),
        ((PLAY, KIND, f"{KIND}\n  string display_name = 9;"), "without reserving the name"),
    ],
)
def test_what_an_early_release_gave_up_stays_reserved(make: Make, edit: tuple[str, str, str], message: str) -> None:
    first, second = make("1"), make("2", (PLAY, NAME, NAME_RESERVED))
    now = make("3", (PLAY, f"  // Name for people; may be empty. At most 128 characters.\n  {NAME}\n", ""), edit)
    findings = [finding for finding in check(now, [second, first]) if "Participant" in finding.subject]
    assert any(message in finding.message for finding in findings)
    late = [finding for finding in check(now, [now, first]) if finding.against == "1"]
    assert any(message in finding.message for finding in late)


def test_a_reservation_is_never_taken_back(make: Make) -> None:
    second, now = make("2", (PLAY, NAME, NAME_RESERVED)), make("3", (PLAY, NAME, ""))
    assert [finding.rules[0] for finding in check(now, [second])] == ["RESERVED_MESSAGE_NO_DELETE"]


def test_an_exception_in_the_rules_does_not_excuse_from_reserving(make: Make) -> None:
    exception = f'"ignore_only":{{"FIELD_NO_DELETE":["ghostback/{PLAY}"]}}'
    rules = f'{{"version":"v2","breaking":{{"use":["FILE","WIRE_JSON","WIRE"],{exception}}}}}'
    first = make("1")
    assert breaking(make("2", (PLAY, NAME, NAME_RESERVED)), first, rules) == []
    assert "reserve" in breaking(make("3", (PLAY, NAME, "")), first, rules)[0].instead


def test_a_file_that_is_gone_is_named(make: Make, tmp_path: Path) -> None:
    shutil.copytree(PROTOS / "ghostback", tmp_path / "ghostback", ignore=shutil.ignore_patterns("score_service.proto"))
    (finding,) = breaking(compile_protos(tmp_path, tmp_path / "2.binpb"), make("1"))
    assert finding.subject == "ghostback/score/v1/score_service.proto"
    assert "package `v2`" in finding.instead


def test_what_is_given_up_and_reserved_is_held_against_nobody_later(make: Make) -> None:
    first, second = make("1"), make("2", (PLAY, NAME, NAME_RESERVED))
    assert check(make("3", (PLAY, NAME, NAME_RESERVED)), [second, first]) == []


def test_a_method_that_was_gone_does_not_come_back_with_another_request(make: Make) -> None:
    call = "rpc GetGame(GetGameRequest) returns (GetGameResponse);"
    first, second = make("1"), make("2", (INGEST, call, ""))
    now = make("3", (INGEST, call, call.replace("GameRequest", "PlayRequest")))
    assert [finding.rules for finding in check(now, [second, first])] == [("RPC_SAME_REQUEST_TYPE",)]


def test_a_new_unit_beside_the_released_ones_is_no_finding(make: Make) -> None:
    now = make("now", (SAMPLES, "Speed as the tag system reports it", "Speed over 0.1 seconds"))
    assert units_changed(now, images.releases()[0]) == []


def test_a_release_is_kept_as_it_was_told(tmp_path: Path, make: Make) -> None:
    path, now = release("1.0.0", folder=tmp_path), make("now")
    assert breaking(now, path) == breaking(path, now) == []
    assert images.comments(path) == images.comments(now)


@pytest.mark.parametrize("version", ["1.0.0", "0.9.0"])
def test_a_release_is_never_written_again_or_before_another(tmp_path: Path, version: str) -> None:
    path = release("1.0.0", folder=tmp_path)
    written = path.read_bytes()
    with pytest.raises(ValueError, match=f"{version} is not later than 1.0.0"):
        release(version, folder=tmp_path)
    assert path.read_bytes() == written


def test_what_breaks_the_last_release_is_not_released(tmp_path: Path, make: Make) -> None:
    release("1.0.0", folder=tmp_path)
    with pytest.raises(ValueError, match="FIELD_NO_DELETE"):
        release("1.1.0", protos=make("now", (PLAY, NAME, "")).parent, folder=tmp_path)
    assert [path.stem for path in images.releases(tmp_path)] == ["1.0.0"]
