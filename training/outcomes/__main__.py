"""Train a version of the pass-outcome model: `python -m training.outcomes trees --setting live`."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from rich.console import Console
from rich.table import Table

from training import plugin
from training.outcomes import evaluate, network, passes, trees
from training.outcomes.passes import Float, Passes

MODELS = {"live": "pass-outcome", "retrospective": "pass-outcome-retrospective"}
TRAIN_SEEDS = range(11_000, 20_000)
"""Games that the ghosts' own model was not fitted to: on those its ghosts are better than on others."""
VALIDATION_SEEDS = range(20_000, 30_000)
TEST_SEEDS = range(30_000, 40_000)
GOLDEN_ROWS = 4
TOLERANCE = 1e-3
"""Largest difference of a probability of the golden example."""


class Model(Protocol):
    """A fitted model."""

    made_with: str

    def predict(self, measurements: Float) -> Float:
        """Probabilities (n, 3)."""

    def export(self, path: Path) -> None:
        """Write it as ONNX."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A version.

    Attributes:
        version: PEP 440.
        description: what it is.
        fit: fits it.
    """

    version: str
    description: str
    fit: Callable[[Passes, Passes, tuple[str, ...], int], Model]


ENTRIES = {
    "trees": Entry("1.0.0", "Boosted trees for completion and interception, calibrated", trees.fit),
    "network": Entry("2.0.0", "A small network for completion and interception, calibrated", network.fit),
}


def main() -> None:
    """Parse the command line, train, evaluate and write the plugin."""
    parser = argparse.ArgumentParser(
        prog="python -m training.outcomes",
        description="Train a pass-outcome model on simulated games, evaluate it on others, and write its plugin.",
        epilog="example: python -m training.outcomes trees --setting live --games 24 --out out/plugin",
    )
    add = parser.add_argument
    add("name", choices=ENTRIES, help="the model version")
    add("--setting", choices=MODELS, default="live", help="default: live")
    add("--games", type=_games, default=240, help="simulated games to train on (default: 240)")
    add("--validation", type=_games, default=48, metavar="GAMES", help="to choose and calibrate by (default: 48)")
    add("--test", type=_games, default=48, metavar="GAMES", help="to evaluate on (default: 48)")
    add("--seed", type=int, default=1, help="seed of sampling, weights and shuffling (default: 1)")
    add("--out", type=Path, help="folder of the plugin (default: its place in models/)")
    add("--cache", type=Path, default=Path("build/training"), help="where simulated passes are kept")
    add("--scheduler", default="", metavar="ADDRESS", help="of a Dask cluster, as tcp://host:8786 (default: none)")
    add("--json", action="store_true", help="print the metrics as one line of JSON")
    arguments = parser.parse_args()
    started = time.monotonic()
    try:
        metrics = _train(arguments)
    except OSError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped; the same command starts with the games that were simulated")
    if arguments.json:
        print(json.dumps(metrics))  # noqa: T201
    else:
        _show(arguments, metrics, time.monotonic() - started)


def _games(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= len(TRAIN_SEEDS)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of games from 1 to {len(TRAIN_SEEDS)}")
    return int(text)


def _train(arguments: argparse.Namespace) -> dict[str, Any]:
    entry, setting = ENTRIES[arguments.name], arguments.setting
    parts = {
        "train": TRAIN_SEEDS[: arguments.games],
        "validation": VALIDATION_SEEDS[: arguments.validation],
        "test": TEST_SEEDS[: arguments.test],
    }
    train, validation, test = (
        passes.of_seeds(seeds, setting, arguments.cache, part == "test", arguments.scheduler)
        for part, seeds in parts.items()
    )
    feature_set = passes.feature_set_of(setting)
    model = entry.fit(train, validation, feature_set.tensors[0].entries, arguments.seed)
    out = arguments.out or Path("models/ghostback_models") / setting / f"pass_outcome_{arguments.name}"
    out.mkdir(parents=True, exist_ok=True)
    model.export(out / plugin.ARTIFACT)
    answers = plugin.run(out / plugin.ARTIFACT, {"measurements": test.measurements})
    metrics = evaluate.report(test, answers["probability"], train)
    golden = test.measurements[np.flatnonzero(test.actual)[:GOLDEN_ROWS]]
    drawn = ", ".join(f"{name} {seeds[0]}-{seeds[-1]}" for name, seeds in parts.items())
    plugin.write(
        out,
        plugin.Identity(MODELS[setting], entry.version, "pass-outcome", entry.description, TOLERANCE),
        feature_set,
        {"measurements": golden},
        {"probability": model.predict(golden)},
        {"measurements": train.measurements},
        metrics,
        {
            "data": f"every receiver of the passes of simulated games of 150 plays: {drawn}",
            "command": f"python -m training.outcomes {arguments.name} --setting {setting}"
            f" --games {arguments.games} --validation {arguments.validation} --test {arguments.test}"
            f" --seed {arguments.seed}",
            "trained_with": model.made_with,
        },
    )
    return metrics


def _show(arguments: argparse.Namespace, metrics: dict[str, Any], seconds: float) -> None:
    console = Console()
    for kind, title in (("actual", "passes as thrown"), ("all", "passes to every receiver")):
        for event in evaluate.EVENTS:
            table = Table(title=f"{arguments.name}, {event}: {metrics[kind]['passes']:,} {title}, games never seen")
            said = metrics[kind][event]
            table.add_column("error")
            for name in said:
                table.add_column(name, justify="right")
            for error in evaluate.ERRORS:
                table.add_row(error, *(f"{errors[error]:.4f}" for errors in said.values()))
            console.print(table)
    console.print(f"{seconds:.0f} s in all")


if __name__ == "__main__":
    main()
