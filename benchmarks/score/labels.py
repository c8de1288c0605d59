"""What an expert says of trajectories, as a CSV file, and a test expert who knows the truth."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.score.trajectories import Floats, Trajectories
from services.score.profiles import ScoreProfile

GOOD, QUESTIONABLE = "good", "questionable"
TRUTH = "actual"
"""The subject whose trajectories are what defenders do, or truly would have done."""
NEAR = 10.0
"""Yards from the target at the pass within which agreement is told on its own."""

_REQUIRED = ("play", "defender", "label", "reason")
_OPTIONAL = ("target", "trajectory", "grade")


class LabelsError(Exception):
    """The file of labels is not as it must be, or speaks of what is not there."""


@dataclass(frozen=True, slots=True)
class Label:
    """An expert's word on one trajectory.

    Attributes:
        play: resource name of the play.
        defender: participant id.
        questionable: whether it is questionable rather than good.
        reason: in the expert's words.
        target: participant id of the receiver thrown to; empty for the one truly thrown to.
        trajectory: whose path it is: `actual`, or another subject.
        grade: how questionable, the higher the more; 0 or 1 when the expert does not grade.
    """

    play: str
    defender: str
    questionable: bool
    reason: str
    target: str
    trajectory: str
    grade: float


@dataclass(frozen=True)
class Labelled:
    """Trajectories with their labels.

    Attributes:
        trajectories: the trajectories.
        labels: (n) the labels.
        row: (n,) the row of `trajectories` that each label speaks of.
    """

    trajectories: Trajectories
    labels: Sequence[Label]
    row: NDArray[np.intp]

    @property
    def questionable(self) -> NDArray[np.bool_]:
        """(n,) which are questionable."""
        return np.array([label.questionable for label in self.labels])

    @property
    def grade(self) -> Floats:
        """(n,) how questionable they are."""
        return np.array([label.grade for label in self.labels])

    @property
    def subject(self) -> NDArray[np.str_]:
        """(n,) whose paths they are."""
        return np.array([label.trajectory for label in self.labels])

    @property
    def clusters(self) -> tuple[str, NDArray[np.intp]]:
        """What counts as independent, games or plays, and which of them each label is of: (n,)."""
        what, cluster = self.trajectories.clusters
        return what, np.unique(cluster[self.row], return_inverse=True)[1]

    def within(self, yards: float) -> "Labelled":
        """The labels of defenders who were so near the target at the pass."""
        away = np.linalg.norm(self.trajectories.paths[TRUTH][:, 0] - self.trajectories.receiver[:, 0], axis=-1)
        near = np.flatnonzero(away[self.row] <= yards)
        return Labelled(self.trajectories, [self.labels[i] for i in near.tolist()], self.row[near])

    def score(self, profile: ScoreProfile) -> Floats:
        """TS of each labelled trajectory: (n,)."""
        subject, score = self.subject, np.empty(len(self.labels))
        for name in np.unique(subject):
            chosen = subject == name
            score[chosen] = self.trajectories.score(str(name), profile).score[self.row[chosen]]
        return score


def read(path: Path) -> list[Label]:
    """The labels in a CSV file.

    Raises:
        LabelsError: a column is missing or unknown, or a value is none of those it may have.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        if missing := [name for name in _REQUIRED if name not in columns]:
            raise LabelsError(f"{path} lacks the column {missing[0]!r}")
        if unknown := [name for name in columns if name not in (*_REQUIRED, *_OPTIONAL)]:
            raise LabelsError(f"{path} has the column {unknown[0]!r}; there are {', '.join(_REQUIRED + _OPTIONAL)}")
        return [_label(row, f"{path} line {reader.line_num}") for row in reader]


def write(path: Path, labels: Iterable[Label]) -> None:
    """Write labels as a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow((*_REQUIRED, *_OPTIONAL))
        for each in labels:
            label = QUESTIONABLE if each.questionable else GOOD
            writer.writerow(
                (each.play, each.defender, label, each.reason, each.target, each.trajectory, f"{each.grade:g}")
            )


def match(labels: Sequence[Label], trajectories: Trajectories) -> Labelled:
    """The labels with the trajectories they speak of.

    Args:
        labels: the labels.
        trajectories: where a play comes first with the receiver truly thrown to.

    Raises:
        LabelsError: one speaks of a trajectory that is not there, or all say the same.
    """
    found: dict[tuple[str, str, str], int] = {}
    for i, (play, target, defender) in enumerate(
        zip(trajectories.play, trajectories.target, trajectories.defender, strict=True)
    ):
        found[play, target, defender] = i
        found.setdefault((play, "", defender), i)
    rows = []
    for each in labels:
        row = found.get((each.play, each.target, each.defender))
        if row is None or each.trajectory not in trajectories.paths:
            known = ", ".join(trajectories.paths)
            raise LabelsError(
                f"{each.play} has no trajectory {each.trajectory!r} of {each.defender} that can be scored for target "
                f"{each.target or 'thrown to'}; there are trajectories {known}"
            )
        rows.append(row)
    if len({each.questionable for each in labels}) < 2:
        raise LabelsError("there must be good and questionable ones among the labels")
    return Labelled(trajectories, labels, np.array(rows))


def of_test_expert(what_ifs: Trajectories, questionable_from: float) -> list[Label]:
    """Labels of every trajectory by one who knows where each defender would truly have gone.

    Args:
        what_ifs: passes to receivers who were not thrown to; the subject `actual` is the truth.
        questionable_from: mean distance from it at which a trajectory becomes questionable, yards.
    """
    labels = []
    for subject in what_ifs.paths:
        distance = what_ifs.distance(subject, TRUTH)
        for play, target, defender, off in zip(
            what_ifs.play, what_ifs.target, what_ifs.defender, distance.tolist(), strict=True
        ):
            reason = f"{off:.1f} yd from where he would have gone, on average"
            labels.append(Label(play, defender, off >= questionable_from, reason, target, subject, off))
    return labels


def _label(row: dict[str, str | None], where: str) -> Label:
    value = {name: (row.get(name) or "").strip() for name in (*_REQUIRED, *_OPTIONAL)}
    if value["label"] not in (GOOD, QUESTIONABLE):
        raise LabelsError(f"{where}: label is {value['label']!r}, must be {GOOD} or {QUESTIONABLE}")
    questionable = value["label"] == QUESTIONABLE
    try:
        grade = float(value["grade"]) if value["grade"] else float(questionable)
    except ValueError:
        raise LabelsError(f"{where}: grade is {value['grade']!r}, must be a number") from None
    return Label(
        value["play"],
        value["defender"],
        questionable,
        value["reason"],
        value["target"],
        value["trajectory"] or TRUTH,
        grade,
    )
