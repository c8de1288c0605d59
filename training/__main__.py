"""Train the built-in model: `python -m training --out models/ghostback_models/ghosting_1_0_0`."""

import argparse
import json
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from training import dataset, evaluate, export, train
from training.network import DefenderCnnLstm

TRAIN_SEEDS = range(10_000, 10_024)
VALIDATION_SEEDS = range(20_000, 20_008)
TEST_SEEDS = range(30_000, 30_008)


def main() -> None:
    """Parse the command line, train, evaluate and write the plugin."""
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Train the Defender CNN-LSTM on simulated games and write its plugin.",
        epilog="example: python -m training --out models/ghostback_models/ghosting_1_0_0",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the plugin")
    parser.add_argument("--games", type=int, default=len(TRAIN_SEEDS), help="games to train on (default: 24)")
    parser.add_argument("--epochs", type=int, default=12, help="passes over them (default: 12)")
    parser.add_argument("--seed", type=int, default=1, help="seed of weights and shuffling (default: 1)")
    parser.add_argument("--cache", type=Path, default=Path("build/training"), help="where rows are kept")
    parser.add_argument("--json", action="store_true", help="print the metrics as one line of JSON")
    arguments = parser.parse_args()

    started = time.monotonic()
    seeds = TRAIN_SEEDS[: arguments.games]
    rows = dataset.of_games(seeds, arguments.cache)
    validation = dataset.of_games(VALIDATION_SEEDS, arguments.cache)
    test = dataset.of_games(TEST_SEEDS, arguments.cache, what_ifs=True)
    torch.manual_seed(arguments.seed)
    network = DefenderCnnLstm()
    train.fit(network, rows, validation, arguments.epochs, arguments.seed)
    metrics = evaluate.report(lambda some: train.predict(network, some), test.take(~test.what_if), test)
    provenance = {
        "data": f"simulated games of {dataset.PLAYS_A_GAME} plays: train {seeds.start}-{seeds[-1]}, "
        f"validation {VALIDATION_SEEDS.start}-{VALIDATION_SEEDS[-1]}, test {TEST_SEEDS.start}-{TEST_SEEDS[-1]}",
        "command": f"python -m training --games {arguments.games} --epochs {arguments.epochs} --seed {arguments.seed}",
    }
    export.write_plugin(arguments.out, network, test, metrics, provenance)
    if arguments.json:
        print(json.dumps(metrics))  # noqa: T201
    else:
        _show(metrics, len(rows), time.monotonic() - started)


def _show(metrics: dict[str, object], n_rows: int, seconds: float) -> None:
    console = Console()
    for part in ("test", "what_if"):
        values = metrics[part]
        assert isinstance(values, dict)  # noqa: S101
        table = Table(title=f"{part}: {values['rows']:,} trajectories of games not seen in training, errors in yards")
        predictors = {name: errors for name, errors in values.items() if name != "rows"}
        table.add_column("error")
        for name in predictors:
            table.add_column(name, justify="right")
        table.add_row("average", *(f"{errors['ade']:.3f}" for errors in predictors.values()))
        table.add_row("final", *(f"{errors['fde']:.3f}" for errors in predictors.values()))
        for step in map(str, evaluate.STEPS_SHOWN):
            table.add_row(f"step {step}", *(f"{errors['at_step'][step]:.3f}" for errors in predictors.values()))
        console.print(table)
    console.print("mean trajectory score", metrics["trajectory_score"])
    console.print(f"{n_rows:,} trajectories trained on, {seconds:.0f} s in all")


if __name__ == "__main__":
    main()
