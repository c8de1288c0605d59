"""Screened feature sets: documents that are served as they were made, or refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from services.common.errors import FailedPrecondition, InvalidInput, NotFound, Unavailable
from services.features import feature_sets
from services.features.feature_sets import TensorSpec
from services.features.library import Library
from services.features.screening import catalogue, screened, table
from services.features.screening.screened import DocumentError, Provenance, ScreenedSet
from simulator.game import simulate_game

NAMES = ("defender_vx", "separation", "landing_rel_x", "down")
PLAY = next(
    play
    for play in simulate_game(31, 40).plays
    if play.forward_pass and play.forward_pass.arrived_frame >= play.forward_pass.forward_frame + table.STEPS
)


def made(version: int = 1, names: tuple[str, ...] = NAMES) -> ScreenedSet:
    return ScreenedSet(
        name="ghosting-screened",
        version=version,
        description="a few",
        setting="retrospective",
        rate=10.0,
        observed=5,
        horizon=10,
        row="defender",
        tensors=(TensorSpec("features", (len(names),), tuple(catalogue.CATALOGUE[name].entry for name in names)),),
        mean=tuple(0.1 * i for i in range(len(names))),
        scale=(1 / 3,) * len(names),
        provenance=Provenance(("games/1", "games/2"), 900, 7, "a test", 200, 1.0, 1.01),
    )


def test_a_document_gives_back_the_very_feature_set() -> None:
    assert screened.from_document(screened.to_document(made())) == made()


@pytest.mark.parametrize(
    ("before", "after"),
    [('"separation yd"', '"cushion yd"'), ("0.1", "0.2"), ('"seed": 7', '"seed": 8'), ('"games/2"', '"games/3"')],
)
def test_a_document_that_was_changed_is_refused(before: str, after: str) -> None:
    text = screened.to_document(made())
    assert before in text
    with pytest.raises(DocumentError, match="was changed: its content has digest"):
        screened.from_document(text.replace(before, after, 1))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"digest": "x"}', "null", screened.to_document(made())[:-40]])
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(DocumentError, match="is no document of a screened feature set"):
        screened.from_document(text)


def test_a_feature_that_is_not_computed_here_is_refused() -> None:
    (spec,) = made().tensors
    unknown = replace(made(), tensors=(replace(spec, entries=(*spec.entries[:-1], "aura 1")),))
    with pytest.raises(DocumentError, match="not known in retrospective setting: aura 1"):
        screened.from_document(screened.to_document(unknown))
    ahead = replace(made(names=("receiver_ahead_x_10",)), setting="live")
    with pytest.raises(DocumentError, match="not known in live setting: receiver_ahead_x_10 yd"):
        screened.from_document(screened.to_document(ahead))


def test_features_are_computed_as_they_were_screened() -> None:
    candidates = tuple(catalogue.CATALOGUE[name] for name in NAMES)
    batch = screened.compute(PLAY, made())
    rows = table.of_play(PLAY, "retrospective", candidates, probed=False)
    assert len(rows) == len(batch.defender_ids)
    np.testing.assert_array_equal(batch.tensors["features"], rows.values)


def test_there_is_a_row_for_each_target_and_defender() -> None:
    targets = [receiver.participant_id for receiver in PLAY.eligible_receivers()]
    batch = screened.compute(PLAY, made(), targets)
    assert batch.tensors["features"].shape == (len(batch.defender_ids), len(NAMES))
    assert len(batch.defender_ids) == len(targets) * (len(PLAY.defensive_backs()) - len(batch.skipped))
    alone = screened.compute(PLAY, made(), targets[1:2])
    second = [target == targets[1] for target in batch.target_ids]
    np.testing.assert_array_equal(batch.tensors["features"][second], alone.tensors["features"])


def test_new_versions_count_up_and_stay(tmp_path: Path) -> None:
    library = Library(tmp_path / "sets")
    for version in (1, 2, 3):
        assert library.add("ghosting-screened", made).version == version
    assert Library(tmp_path / "sets").get("ghosting-screened@2") == made(2)
    assert sorted(path.name for path in (tmp_path / "sets").iterdir()) == [
        f"ghosting-screened@{version}.json" for version in (1, 2, 3)
    ]


def test_a_refused_document_is_told_with_the_reason_and_stops_no_other(tmp_path: Path) -> None:
    library = Library(tmp_path)
    library.add("ghosting-screened", made)
    changed = json.loads(screened.to_document(made(2))) | {"horizon": 11}
    (tmp_path / "ghosting-screened@2.json").write_text(json.dumps(changed))
    (tmp_path / "other@1.json").write_text(screened.to_document(made(1)))
    known, _ = library.read()
    assert known.keys() == {*feature_sets.FEATURE_SETS, "ghosting-screened@1"}
    assert [each.name for each in known.values()] == sorted(each.name for each in known.values())
    with pytest.raises(FailedPrecondition, match=r"ghosting-screened@2\.json was changed") as told:
        library.get("ghosting-screened@2")
    assert told.value.reason == "FEATURE_SET_UNUSABLE"
    with pytest.raises(FailedPrecondition, match=r"other@1\.json names itself ghosting-screened@1"):
        library.get("other@1")
    with pytest.raises(NotFound):
        library.get("ghosting-screened@9")
    assert library.get("ghosting-kinematics@2") is feature_sets.get("ghosting-kinematics@2")


def test_names_that_cannot_be_kept_are_refused(tmp_path: Path) -> None:
    for name in ("ghosting-kinematics", "Upper", "a/b", "-x", "a@1", "x" * 64):
        with pytest.raises(InvalidInput, match="name"):
            Library(tmp_path).check_name(name, "feature_set")
    Library(tmp_path).check_name("mine-2", "feature_set")
    with pytest.raises(FailedPrecondition, match="no folder"):
        Library(None).check_name("mine", "feature_set")


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be written"):
        Library(tmp_path / "file").add("ghosting-screened", made)
