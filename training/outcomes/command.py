"""The command line of trainings on passes: what they are told, what they are given, what their manifests tell."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from training import plugin, scenes
from training.outcomes import passes
from training.outcomes.passes import Float, Passes

SETTINGS = ("live", "retrospective")
TRAIN_SEEDS = range(11_000, 20_000)
"""Games that the ghosts' own model was not fitted to: on those its ghosts are better than on others."""
VALIDATION_SEEDS = range(20_000, 30_000)
TEST_SEEDS = range(30_000, 40_000)

GOLDEN_ROWS = 4
TOLERANCE = 1e-3
"""Largest difference of a probability of the golden example."""

Metrics = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Version:
    """What a training makes.

    Attributes:
        module: of the training.
        task: what its models forecast.
        number: PEP 440.
        description: a sentence without its full stop.
    """

    module: str
    task: str
    number: str
    description: str

    def model(self, setting: str) -> str:
        """Name of the model that it is a version of."""
        return self.task if setting == "live" else f"{self.task}-{setting}"


class Model(Protocol):
    """A fitted model."""

    made_with: str

    def predict(self, measurements: Float) -> Float:
        """Probabilities (n, n_outcomes)."""

    def export(self, path: Path) -> None:
        """Write it as ONNX."""


def run(
    parser: argparse.ArgumentParser,
    train: Callable[[argparse.Namespace], Metrics],
    show: Callable[[argparse.Namespace, Metrics, float], None],
) -> None:
    """Parse the command line, train, and tell the metrics.

    Args:
        parser: knows the names that there are; all other options are added here.
        train: trains, and writes the plugin.
        show: prints the metrics, with the seconds that it took.
    """
    _add_options(parser)
    arguments = parser.parse_args()
    started = time.monotonic()
    try:
        metrics = train(arguments)
    except OSError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped; the same command starts with the games that were simulated")
    if arguments.json:
        print(json.dumps(metrics))  # noqa: T201
    else:
        show(arguments, metrics, time.monotonic() - started)


def passes_of(arguments: argparse.Namespace) -> list[Passes]:
    """The passes to train on, to choose by and to evaluate on; the simulator's truth is with the last."""
    return [
        passes.of_seeds(seeds, arguments.setting, arguments.cache, part == "test", arguments.scheduler)
        for part, seeds in _seeds(arguments).items()
    ]


def write(
    arguments: argparse.Namespace,
    model: Model,
    version: Version,
    train: Float,
    test: Float,
    actual: NDArray[np.bool_],
    report: Callable[[Float], Metrics],
) -> Metrics:
    """Write a model as a plugin.

    Args:
        arguments: of the command line.
        model: the model.
        version: what it is.
        train: (n_train, n) measurements that it was fitted to.
        test: (n_test, n) measurements that it was not fitted to.
        actual: (n_test,) whether the quarterback chose the receiver.
        report: makes the metrics of what it says of those.

    Returns:
        The metrics.
    """
    setting, folder = arguments.setting, f"{version.task.replace('-', '_')}_{arguments.name}"
    out = arguments.out or Path("models/ghostback_models") / setting / folder
    out.mkdir(parents=True, exist_ok=True)
    model.export(out / plugin.ARTIFACT)
    metrics = report(plugin.run(out / plugin.ARTIFACT, {"measurements": test})["probability"])
    golden = test[np.flatnonzero(actual)[:GOLDEN_ROWS]]
    plugin.write(
        out,
        plugin.Identity(version.model(setting), version.number, version.task, version.description, TOLERANCE),
        passes.feature_set_of(setting, version.task),
        {"measurements": golden},
        {"probability": model.predict(golden)},
        {"measurements": train},
        metrics,
        _provenance(arguments, version.module, model.made_with),
    )
    return metrics


def _provenance(arguments: argparse.Namespace, module: str, made_with: str) -> dict[str, str]:
    drawn = ", ".join(f"{part} {seeds[0]}-{seeds[-1]}" for part, seeds in _seeds(arguments).items())
    return {
        "data": f"every receiver of the passes of simulated games of {scenes.PLAYS_A_GAME} plays: {drawn}",
        "command": f"python -m {module} {arguments.name} --setting {arguments.setting}"
        f" --games {arguments.games} --validation {arguments.validation} --test {arguments.test}"
        f" --seed {arguments.seed}",
        "trained_with": made_with,
    }


def error_table(title: str, said: Mapping[str, Mapping[str, float]], errors: Sequence[str]) -> Table:
    """A row an error, a column for each who said something."""
    table = Table(title=title)
    table.add_column("error")
    for name in said:
        table.add_column(name, justify="right")
    for error in errors:
        table.add_row(error, *(f"{own[error]:.4f}" for own in said.values()))
    return table


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--setting", choices=SETTINGS, default="live", help="default: live")
    add("--games", type=_games, default=240, help="simulated games to train on (default: 240)")
    add("--validation", type=_games, default=48, metavar="GAMES", help="to choose and calibrate by (default: 48)")
    add("--test", type=_games, default=48, metavar="GAMES", help="to evaluate on (default: 48)")
    add("--seed", type=int, default=1, help="seed of sampling, weights and shuffling (default: 1)")
    add("--out", type=Path, help="folder of the plugin (default: its place in models/)")
    add("--cache", type=Path, default=Path("build/training"), help="where simulated passes are kept")
    add("--scheduler", default="", metavar="ADDRESS", help="of a Dask cluster, as tcp://host:8786 (default: none)")
    add("--json", action="store_true", help="print the metrics as one line of JSON")


def _seeds(arguments: argparse.Namespace) -> dict[str, range]:
    return {
        "train": TRAIN_SEEDS[: arguments.games],
        "validation": VALIDATION_SEEDS[: arguments.validation],
        "test": TEST_SEEDS[: arguments.test],
    }


def _games(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= len(TRAIN_SEEDS)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of games from 1 to {len(TRAIN_SEEDS)}")
    return int(text)
