"""Train a built-in model version: `python -m training scene_transformer --setting live`."""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from training import evaluate, export, fit, scenes, tracking
from training.fit import Options
from training.zoo import MODELS, ZOO

DEFAULTS = Options()
TRAIN_SEEDS = range(10_000, 10_120)
VALIDATION_SEEDS = range(20_000, 20_012)
TEST_SEEDS = range(30_000, 30_012)


def main() -> None:
    """Parse the command line, train, evaluate and write the plugin."""
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Train a built-in model version on simulated games, evaluate it on others, and write its plugin.",
        epilog="example: python -m training scene_transformer --setting live --games 24 --epochs 6 --out out/plugin",
    )
    parser.add_argument("name", choices=ZOO, help="the model version")
    parser.add_argument("--setting", choices=("live", "retrospective"), default="live", help="default: live")
    parser.add_argument("--out", type=Path, help="folder of the plugin (default: its place in models/)")
    parser.add_argument("--games", type=int, default=len(TRAIN_SEEDS), help="games to train on (default: 120)")
    parser.add_argument(
        "--epochs", type=int, default=DEFAULTS.epochs, help=f"passes over them (default: {DEFAULTS.epochs})"
    )
    parser.add_argument(
        "--patience",
        type=int,
        default=DEFAULTS.patience,
        help=f"stop after so many epochs without a better validation error (default: {DEFAULTS.patience})",
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of weights and shuffling (default: 1)")
    parser.add_argument("--cache", type=Path, default=Path("build/training"), help="where scenes and checkpoints are")
    parser.add_argument("--mlflow", default="", metavar="URI", help="where MLflow keeps runs (default: build/mlflow)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads (default: all cores)")
    parser.add_argument("--json", action="store_true", help="print the metrics as one line of JSON")
    arguments = parser.parse_args()

    started = time.monotonic()
    torch.set_num_threads(arguments.threads)
    entry, setting = ZOO[arguments.name], arguments.setting
    seeds = TRAIN_SEEDS[: arguments.games]
    command = f"python -m training {entry.name} --setting {setting}"
    if entry.learning_rate:
        command += f" --games {arguments.games} --epochs {arguments.epochs} --seed {arguments.seed}"
        command += f" --patience {arguments.patience}"
    provenance = {
        "data": f"simulated games of {scenes.PLAYS_A_GAME} plays: train {seeds[0]}-{seeds[-1]}, "
        f"validation {VALIDATION_SEEDS[0]}-{VALIDATION_SEEDS[-1]}, test {TEST_SEEDS[0]}-{TEST_SEEDS[-1]}",
        "command": command,
    }
    parameters = provenance | {"version": entry.version, "learning_rate": entry.learning_rate, "batch": fit.BATCH}
    parameters |= {name: getattr(arguments, name) for name in ("games", "epochs", "seed", "patience")}
    run = f"{entry.name}-{setting}-{len(seeds)}-{arguments.epochs}-{arguments.seed}"
    checkpoint = arguments.cache / scenes.source_digest() / f"{run}.pt"
    out = arguments.out or Path("models/ghostback_models") / setting / entry.name
    test = scenes.of_seeds(TEST_SEEDS, setting, arguments.cache, with_what_ifs=True)
    with tracking.run(MODELS[setting], run, parameters, arguments.mlflow, resumed=checkpoint.exists()):
        torch.manual_seed(arguments.seed)
        network = entry.build()
        if entry.learning_rate:
            train = scenes.of_seeds(seeds, setting, arguments.cache)
            validation = scenes.of_seeds(VALIDATION_SEEDS, setting, arguments.cache)
            options = Options(arguments.epochs, arguments.patience, arguments.seed, checkpoint, tracking.log_epoch)
            entry.fit(network, train, validation, entry.learning_rate, options)
            fit.calibrate(network, validation)
        metrics = evaluate.report(test, *fit.predict(network, test))
        tracking.log_report(metrics)
        export.write_plugin(out, entry, setting, network, test, metrics, provenance)
        tracking.log_plugin(out)
    if arguments.json:
        print(json.dumps(metrics))  # noqa: T201
    else:
        _show(entry.name, metrics, time.monotonic() - started)


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
