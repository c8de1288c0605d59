"""Files of an expert's labels."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.score import labels
from benchmarks.score.labels import LabelsError
from benchmarks.score.trajectories import Trajectories

HEADER = "play,defender,label,reason\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text)
    return path


def test_an_expert_needs_four_columns_and_speaks_of_what_the_players_did(tmp_path: Path, passes: Trajectories) -> None:
    play, one, other = passes.play[0], *passes.defender[:2]
    text = f'{HEADER}{play},{one},good,"sat on the route, broke on the throw"\n{play},{other}, questionable ,late\n'
    given = labels.read(written(tmp_path, text))
    assert [label.questionable for label in given] == [False, True]
    assert [label.grade for label in given] == [0.0, 1.0]
    assert given[0].reason == "sat on the route, broke on the throw"
    labelled = labels.match(given, passes)
    assert labelled.row.tolist() == [0, 1]
    assert labelled.subject.tolist() == ["actual", "actual"]


def test_labels_that_were_written_are_read_back(tmp_path: Path, what_ifs: Trajectories) -> None:
    made = labels.of_test_expert(what_ifs, 1.5)[:200]
    labels.write(tmp_path / "labels.csv", made)
    for given, label in zip(labels.read(tmp_path / "labels.csv"), made, strict=True):
        assert given.grade == pytest.approx(label.grade, rel=1e-4, abs=1e-9)
        assert (given.play, given.defender, given.target, given.trajectory, given.questionable, given.reason) == (
            label.play,
            label.defender,
            label.target,
            label.trajectory,
            label.questionable,
            label.reason,
        )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("play,defender,label\n", "lacks the column 'reason'"),
        ("play,defender,label,reason,score\n", "has the column 'score'; there are play, defender"),
        (HEADER + "games/1/plays/1,7,bad,late\n", "line 2: label is 'bad', must be good or questionable"),
        (HEADER.strip() + ",grade\ngames/1/plays/1,7,good,,high\n", "line 2: grade is 'high', must be a number"),
    ],
)
def test_a_file_that_is_wrong_is_told_where(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(LabelsError, match=told):
        labels.read(written(tmp_path, text))


def test_a_label_of_what_is_not_there_is_told(tmp_path: Path, passes: Trajectories) -> None:
    given = labels.read(written(tmp_path, f"{HEADER}{passes.play[0]},nobody,good,\n"))
    with pytest.raises(LabelsError, match="has no trajectory 'actual' of nobody"):
        labels.match(given, passes)
    alike = labels.read(written(tmp_path, f"{HEADER}{passes.play[0]},{passes.defender[0]},good,\n"))
    with pytest.raises(LabelsError, match="must be good and questionable ones"):
        labels.match(alike, passes)


def test_the_test_expert_objects_in_the_measure_of_the_distance_from_the_truth(what_ifs: Trajectories) -> None:
    made = labels.of_test_expert(what_ifs, 1.5)
    assert len(made) == len(what_ifs) * len(what_ifs.paths)
    truth = [label for label in made if label.trajectory == "actual"]
    assert {(label.questionable, label.grade) for label in truth} == {(False, 0.0)}
    assert all(label.questionable == (label.grade >= 1.5) for label in made)
    spoiled = next(label for label in made if label.trajectory == "spoiled")
    steps = what_ifs.steps[0] + 1
    apart = (what_ifs.paths["spoiled"] - what_ifs.paths["actual"])[0, 1:steps]
    assert spoiled.grade == pytest.approx(np.linalg.norm(apart, axis=1).mean())
    assert spoiled.reason == f"{spoiled.grade:.1f} yd from where he would have gone, on average"
