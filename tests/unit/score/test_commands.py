"""The commands of `benchmarks.score`."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.score import __main__ as command
from services.score import profiles

SMALL = ("--games", "1", "--plays", "14", "--seed", "60010", "--resamples", "10", "--json")


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    monkeypatch.setattr(sys, "argv", ["benchmarks.score", *arguments, *SMALL])
    command.main()
    return json.loads(capsys.readouterr().out)


def test_the_experiment_tells_every_subject_beside_the_published_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    told = run(monkeypatch, capsys, "experiment", "--plot", str(tmp_path / "scores.png"))
    assert (tmp_path / "scores.png").read_bytes().startswith(b"\x89PNG")
    assert told["profile"] == profiles.DEFAULT.id
    assert told["published_ts"]["actual"] == -0.1036
    assert len(told["subjects"]) == 12
    assert -1.3 < told["subjects"]["paths 25%"]["ts"] < 1.3


def test_the_readings_hold_those_of_the_profiles(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = run(monkeypatch, capsys, "readings")
    assert {"CATCH_POINT", "RECEIVER"} == {each["measured_to"] for each in told}
    assert all(0 <= each["expert"]["auc"] <= 1 and list(each["sources"]) == ["simulated"] for each in told)


def test_labels_that_the_test_expert_wrote_can_be_given_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "labels.csv"
    written = run(monkeypatch, capsys, "expert", "--write", str(path))
    given = run(monkeypatch, capsys, "expert", "--labels", str(path))
    assert given["labels"] == written["labels"] == len(path.read_text().splitlines()) - 1
    for name, found in written["agreement"].items():
        assert given["agreement"][name]["auc"]["value"] == pytest.approx(found["auc"]["value"])


def test_what_is_wrong_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for arguments, told in (
        (("expert", "--labels", str(tmp_path / "none.csv")), "error: .*none.csv"),
        (("experiment", "--model", "ghosting-99.0"), "error: there is no model 'ghosting-99.0'"),
        (("experiment", "--profile", "mine@1"), "error: there is no score profile 'mine@1'"),
    ):
        with pytest.raises(SystemExit, match=told):
            run(monkeypatch, capsys, *arguments)


def test_real_files_need_an_expert_of_their_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, capsys, "expert", "--data", str(tmp_path))
    assert "--data needs --labels" in capsys.readouterr().err
