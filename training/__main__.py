"""Train a built-in model version: `python -m training scene_transformer --setting live`."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from ghostback.bigdatabowl import BigDataBowlError
from training import evaluate, export, tracking, trial
from training.fit import Options
from training.zoo import MODELS, ZOO


def main() -> None:
    """Parse the command line, train, evaluate and write the plugin."""
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Train a built-in model version on games, evaluate it on others, and write its plugin.",
        epilog="example: python -m training scene_transformer --setting live --games 24 --epochs 6 --out out/plugin",
    )
    parser.add_argument("name", choices=ZOO, help="the model version")
    trial.add_arguments(parser)
    parser.add_argument("--seed", type=int, default=1, help="seed of weights and shuffling (default: 1)")
    parser.add_argument("--out", type=Path, help="folder of the plugin (default: its place in models/)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads (default: all cores)")
    parser.add_argument("--json", action="store_true", help="print the metrics as one line of JSON")
    arguments = parser.parse_args()
    started = time.monotonic()
    torch.set_num_threads(arguments.threads)
    try:
        metrics = _train(arguments)
    except (BigDataBowlError, OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on after the last whole epoch")
    if arguments.json:
        print(json.dumps(metrics))  # noqa: T201
    else:
        _show(arguments.name, metrics, time.monotonic() - started)


def _train(arguments: argparse.Namespace) -> dict[str, Any]:
    entry, setting, source = ZOO[arguments.name], arguments.setting, trial.data_of(arguments)
    run = trial.name_of(entry, source, arguments, arguments.seed)
    checkpoint = trial.checkpoint_of(run, arguments.cache)
    options = Options(arguments.epochs, arguments.patience, arguments.seed, checkpoint, tracking.log_epoch)
    provenance = {"data": source.description, "command": _command(arguments)}
    parameters = trial.parameters_of(entry, source, options)
    out = arguments.out or Path("models/ghostback_models") / setting / entry.name
    with tracking.run(MODELS[setting], run, parameters, arguments.mlflow, resumed=checkpoint.exists()):
        network, metrics = trial.train(entry, source, options)
        tracking.log_report(metrics)
        export.write_plugin(
            out, entry, setting, network, source.part("test"), source.part("train"), metrics, provenance
        )
        tracking.log_plugin(out)
    return metrics


def _command(arguments: argparse.Namespace) -> str:
    """What makes the same again."""
    command = f"python -m training {arguments.name} --setting {arguments.setting}"
    if arguments.data:
        command += f" --data {arguments.data.name}"
    if ZOO[arguments.name].learning_rate:
        names = ("epochs", "seed", "patience") if arguments.data else ("games", "epochs", "seed", "patience")
        command += "".join(f" --{name} {getattr(arguments, name)}" for name in names)
    return command


def _show(name: str, metrics: dict[str, Any], seconds: float) -> None:
    console = Console()
    table = Table(title=f"{name}: defensive backs of games not seen in training, errors in yards")
    table.add_column("error")
    kinds = [kind for kind in ("actual", "what_if") if metrics[kind]]
    for kind in kinds:
        table.add_column(f"{kind}, {metrics[kind]['trajectories']:,} trajectories", justify="right")
    for error in ("rmse_all", "ade", "ade_ten", "fde", "nearest_defender", "ts"):
        table.add_row(error, *(f"{metrics[kind][error]:.3f}" for kind in kinds))
    for step in range(evaluate.STEPS):
        table.add_row(f"rmse at step {step + 1}", *(f"{metrics[kind]['rmse'][step]:.3f}" for kind in kinds))
    console.print(table)
    console.print(f"trajectory score of the players themselves {metrics['ts_actual']:.4f}; {seconds:.0f} s in all")


if __name__ == "__main__":
    main()
