"""From an export to a plugin, and to medians over seeds."""

import json
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from distributed import Client

from ghostback import bigdatabowl, parquet
from simulator.game import SimulatedGame, simulate_game
from training import __main__ as command
from training import cluster, data, export, scenes, study, tracking
from training.scenes import Scenes


@pytest.fixture(scope="module")
def games() -> list[SimulatedGame]:
    return [simulate_game(seed, 8) for seed in (81, 82, 83, 84)]


@pytest.fixture(scope="module")
def folder(games: list[SimulatedGame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `python -m ghostback.exporter` writes it."""
    folder = tmp_path_factory.mktemp("export") / "season"
    for simulated in games:
        parquet.write(folder, simulated.game, parquet.tables(simulated.plays, []))
    return folder


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(scenes, "source_digest", lambda: "code")


def run(module: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    monkeypatch.setattr(sys, "argv", ["training", *arguments, "--json"])
    module.main()  # type: ignore[attr-defined]
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_games_of_an_export_are_dealt_to_three_parts_the_same_way_each_time(folder: Path, tmp_path: Path) -> None:
    dealt = data.recorded(folder, "live", tmp_path)
    parts = [set(dealt.part(name).game) for name in data.PARTS]
    assert [len(part) for part in parts] == [2, 1, 1]
    assert len(set.union(*parts)) == 4
    again = data.recorded(folder, "live", tmp_path)
    assert again.description == dealt.description
    np.testing.assert_array_equal(again.part("train").players, dealt.part("train").players)


def test_big_data_bowl_files_give_the_scenes_that_an_export_gives(
    games: list[SimulatedGame], folder: Path, tmp_path: Path
) -> None:
    bigdatabowl.write(tmp_path / "files", [(each.game, each.plays) for each in games])
    one, other = (data.recorded(each, "live", tmp_path) for each in (folder, tmp_path / "files"))
    n = [sum(len(each.part(name)) for name in data.PARTS) for each in (one, other)]
    assert n[0] == n[1] > 0


def test_too_few_games_are_refused(games: list[SimulatedGame], tmp_path: Path) -> None:
    for simulated in games[:2]:
        parquet.write(tmp_path / "two", simulated.game, parquet.tables(simulated.plays, []))
    with pytest.raises(ValueError, match="two has 2 games with passes to learn from; 3 are needed"):
        data.recorded(tmp_path / "two", "live", tmp_path)


def test_a_plugin_is_trained_from_an_export(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("lstm", "--data", str(folder), "--epochs", "1", "--out", str(tmp_path / "plugin"))
    metrics = run(command, monkeypatch, capsys, *arguments)
    manifest = tomllib.loads((tmp_path / "plugin" / "manifest.toml").read_text())
    assert manifest["provenance"]["data"].startswith("4 games of season (")
    held = data.recorded(folder, "live", Path("build/training")).part("test")
    answer, _ = export.run_onnx(tmp_path / "plugin" / "model.onnx", held)
    miss = np.linalg.norm(answer - held.displacement, axis=-1)[held.counts].mean()
    assert metrics["actual"]["ade"] == pytest.approx(miss, abs=1e-4)
    assert not Path("models").exists()


def test_games_are_simulated_by_a_cluster_as_they_are_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "PLAYS_A_GAME", 6)
    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None) as client:
        address = client.scheduler.address
        made = scenes.of_seeds(range(91, 94), "live", tmp_path, scheduler=address)
        cluster.client(address).close()
        cluster.client.cache_clear()
    expected = Scenes.concatenate([scenes.of_seed(seed, "live", False) for seed in range(91, 94)])
    for one, other in zip(vars(made).values(), vars(expected).values(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_study_that_was_stopped_trains_only_what_is_missing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("constant_velocity", "lstm", "--data", str(folder), "--epochs", "1", "--seeds", "1", "2")
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        monkeypatch.setattr(cluster, "client", lambda address: client)
        with monkeypatch.context() as patch, pytest.raises(SystemExit, match="stopped"):
            patch.setattr(tracking, "log_report", lambda report: (_ for _ in ()).throw(KeyboardInterrupt))
            run(study, monkeypatch, capsys, *arguments)
        (first,) = Path("build/study").rglob("*.json")
        written = first.stat().st_mtime_ns
        told = run(study, monkeypatch, capsys, *arguments)
    assert first.stat().st_mtime_ns == written
    assert len(list(Path("build/study").rglob("*.json"))) == 4
    again = run(study, monkeypatch, capsys, *arguments)
    assert again == told
    lstm = [told["results"]["lstm"][seed]["actual"]["ade"] for seed in ("1", "2")]
    assert lstm[0] != lstm[1]
    assert told["median"]["lstm"]["ade"] == {"median": sum(lstm) / 2, "low": min(lstm), "high": max(lstm)}
    still = told["median"]["constant_velocity"]["ade"]
    assert still["low"] == still["high"]
