"""What a training leaves in MLflow."""

from pathlib import Path

import mlflow
import pytest
from mlflow.environment_variables import MLFLOW_DISABLE_TELEMETRY

from training import tracking


def test_a_run_has_parameters_epochs_report_and_manifest_and_goes_on_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    plugin = tmp_path / "plugin"
    plugin.mkdir()
    (plugin / "manifest.toml").write_text('name = "ghosting"')
    (plugin / "metrics.json").write_text("{}")
    with pytest.raises(KeyboardInterrupt):
        with tracking.run("ghosting", "lstm-1", {"seed": 1, "patience": 4}, uri):
            tracking.log_epoch(1, {"loss": 0.5, "validation_rmse": 0.9})
            raise KeyboardInterrupt
    with tracking.run("ghosting", "lstm-1", {"seed": 1, "patience": 9}, uri, resumed=True):
        tracking.log_epoch(2, {"loss": 0.4, "validation_rmse": 0.8})
        report = {"actual": {"rmse": [0.1, 0.2], "ade": 0.3, "calibration": {"50%": 0.52}}, "what_if": None}
        tracking.log_report(report)
        tracking.log_plugin(plugin)
    with tracking.run("ghosting", "lstm-1", {"seed": 1}, uri):
        pass
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("ghosting")
    runs = client.search_runs([experiment.experiment_id], order_by=["start_time"])
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]
    run = runs[0]
    assert run.data.params == {"seed": "1", "patience": "4"}
    assert run.data.metrics == {
        "loss": 0.4,
        "validation_rmse": 0.8,
        "actual.rmse": 0.2,
        "actual.ade": 0.3,
        "actual.calibration.50": 0.52,
    }
    for name, values in (("loss", [0.5, 0.4]), ("actual.rmse", [0.1, 0.2])):
        history = client.get_metric_history(run.info.run_id, name)
        assert [(metric.step, metric.value) for metric in history] == [(1, values[0]), (2, values[1])]
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"manifest.toml", "metrics.json"}


def test_without_a_name_the_store_lies_below_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with tracking.run("ghosting", "lstm-1", {}):
        mlflow.log_text("kept", "note.txt")
    assert (tmp_path / "build" / "mlflow" / "mlflow.db").exists()
    assert len(list((tmp_path / "build" / "mlflow" / "artifacts").glob("*/artifacts/note.txt"))) == 1


def test_nothing_is_told_to_the_makers_of_mlflow() -> None:
    assert MLFLOW_DISABLE_TELEMETRY.get()
