"""Train models with several seeds: `python -m training.study lightgbm_steps lstm --seeds 1 2 3`."""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from distributed import as_completed
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ghostback.bigdatabowl import BigDataBowlError
from training import cluster, scenes, tracking, trial
from training.data import PARTS, Data
from training.fit import Options
from training.scenes import Scenes
from training.zoo import MODELS, ZOO

_ERRORS = ("ade", "ade_ten", "rmse_all", "fde", "nearest_defender", "ts")


def main() -> None:
    """Parse the command line, train what has no result yet, and print medians."""
    parser = argparse.ArgumentParser(
        prog="python -m training.study",
        description="Train model versions with several seeds, each training a task of a Dask cluster with one thread. "
        "Results are kept, so that a study that was stopped goes on; no plugin is written.",
        epilog="example: python -m training.study lightgbm_steps lstm --setting live --seeds 1 2 3",
    )
    parser.add_argument("names", nargs="+", choices=ZOO, metavar="NAME", help=f"of {', '.join(ZOO)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="default: 1 2 3")
    trial.add_arguments(parser)
    parser.add_argument("--results", type=Path, default=Path("build/study"), help="folder (default: build/study)")
    parser.add_argument("--json", action="store_true", help="print the medians and the results as one line of JSON")
    arguments = parser.parse_args()
    try:
        results = _run(arguments)
    except (BigDataBowlError, OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped; trainings that were finished are kept")
    summary = {name: summarise([report["actual"] for report in own.values()]) for name, own in results.items()}
    if arguments.json:
        print(json.dumps({"median": summary, "results": results}))  # noqa: T201
    else:
        _show(summary, arguments)


def _run(arguments: argparse.Namespace) -> dict[str, dict[int, dict[str, Any]]]:
    """Reports by name and seed."""
    source = trial.data_of(arguments)
    folder = arguments.results / scenes.source_digest()
    folder.mkdir(parents=True, exist_ok=True)
    paths = {
        (name, seed): folder / f"{trial.name_of(ZOO[name], source, arguments, seed)}-{arguments.patience}.json"
        for name in arguments.names
        for seed in arguments.seeds
    }
    missing = [key for key, path in paths.items() if not path.exists()]
    if missing:
        _train(missing, paths, source, arguments)
    return {
        name: {seed: json.loads(paths[name, seed].read_text()) for seed in arguments.seeds} for name in arguments.names
    }


def _train(
    missing: list[tuple[str, int]], paths: Mapping[tuple[str, int], Path], source: Data, arguments: argparse.Namespace
) -> None:
    """Train what is missing; each result is written as it comes."""
    client = cluster.client(arguments.scheduler)
    parts = [client.scatter(source.part(part), broadcast=True, hash=False) for part in PARTS]
    tasks = {}
    for name, seed in missing:
        run = trial.name_of(ZOO[name], source, arguments, seed)
        checkpoint = trial.checkpoint_of(run, arguments.cache)
        options = Options(arguments.epochs, arguments.patience, seed, checkpoint, show=False)
        tasks[client.submit(trained, name, options, *parts, pure=False)] = (name, seed, run, options)
    console = Console(stderr=True)
    with Progress(console=console) as progress:
        bar = progress.add_task("training", total=len(tasks))
        for task in as_completed(tasks):
            name, seed, run, options = tasks[task]
            epochs, report = task.result()
            aside = paths[name, seed].with_suffix(".part")
            aside.write_text(json.dumps(report))
            aside.rename(paths[name, seed])
            parameters = trial.parameters_of(ZOO[name], source, options)
            with tracking.run(MODELS[arguments.setting], f"study-{run}", parameters, arguments.mlflow):
                for epoch, figures in epochs:
                    tracking.log_epoch(epoch, figures)
                tracking.log_report(report)
            progress.update(bar, advance=1, description=f"{name}, seed {seed}: {report['actual']['ade']:.3f} yd")


def trained(
    name: str, options: Options, train: Scenes, validation: Scenes, test: Scenes
) -> tuple[list[tuple[int, dict[str, float]]], dict[str, Any]]:
    """Figures of the epochs, and the report, of one training; runs on a worker, with one thread."""
    torch.set_num_threads(1)
    epochs: list[tuple[int, dict[str, float]]] = []
    parts = dict(zip(PARTS, (train, validation, test), strict=True))
    told = replace(options, log=lambda *epoch: epochs.append(epoch))
    _, report = trial.train(ZOO[name], Data("", "", parts.__getitem__), told)
    return epochs, report


def summarise(reports: list[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Median, lowest and highest of each figure."""
    found = {error: [report[error] for report in reports] for error in _ERRORS}
    return {error: {"median": median(own), "low": min(own), "high": max(own)} for error, own in found.items()}


def _show(summary: Mapping[str, Mapping[str, Mapping[str, float]]], arguments: argparse.Namespace) -> None:
    seeds = ", ".join(map(str, arguments.seeds))
    table = Table(title=f"{arguments.setting}: medians of seeds {seeds} ± half of what lies between them, yards")
    table.add_column("model", no_wrap=True)
    for error in _ERRORS:
        table.add_column(error, justify="right")
    for name, own in summary.items():
        figures = (own[error] for error in _ERRORS)
        table.add_row(name, *(f"{each['median']:.3f} ±{(each['high'] - each['low']) / 2:.3f}" for each in figures))
    Console().print(table)


if __name__ == "__main__":
    main()
