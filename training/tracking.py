"""What a training did, kept by MLflow: in a database below build/, or wherever one is named."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")

import mlflow

STORE = Path("build/mlflow")
"""Folder of the default database, and of the artifacts of runs in any SQLite database."""


@contextmanager
def run(
    experiment: str, name: str, parameters: Mapping[str, object], uri: str = "", resumed: bool = False
) -> Iterator[None]:
    """Log to one MLflow run within the block.

    Args:
        experiment: its name; made if it is not there.
        name: of the run.
        parameters: of the training; those of a resumed run stay as they were.
        uri: the tracking server or database (default: `MLFLOW_TRACKING_URI`, or else the database in `STORE`).
        resumed: go on with the last run of that name, where there is one.
    """
    STORE.mkdir(parents=True, exist_ok=True)
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{STORE.resolve()}/mlflow.db")
    artifacts = (STORE / "artifacts").resolve().as_uri() if uri.startswith("sqlite:") else None
    mlflow.set_tracking_uri(uri)
    with (STORE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if mlflow.get_experiment_by_name(experiment) is None:
            mlflow.create_experiment(experiment, artifacts)
    experiment_id = mlflow.set_experiment(experiment).experiment_id
    known = mlflow.search_runs([experiment_id], f"attributes.run_name = '{name}'", max_results=1, output_format="list")
    run_id = known[0].info.run_id if resumed and known else None
    with mlflow.start_run(run_id, experiment_id, name):
        if not run_id:
            mlflow.log_params(dict(parameters))
        yield


def log_epoch(epoch: int, figures: Mapping[str, float]) -> None:
    """Log the figures of an epoch."""
    mlflow.log_metrics(dict(figures), step=epoch)


def log_report(report: Mapping[str, object], prefix: str = "") -> None:
    """Log the figures of a report; figures of steps or of quarters as one metric with steps from 1."""
    for name, value in report.items():
        key = prefix + name.replace("%", "")
        if isinstance(value, Mapping):
            log_report(value, f"{key}.")
        elif isinstance(value, list):
            for i, each in enumerate(value, start=1):
                mlflow.log_metric(key, each, step=i)
        elif isinstance(value, int | float):
            mlflow.log_metric(key, value)


def log_plugin(folder: Path) -> None:
    """Keep the manifest and the report of a plugin with the run."""
    for name in ("manifest.toml", "metrics.json"):
        mlflow.log_artifact(str(folder / name))
