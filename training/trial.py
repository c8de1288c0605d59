"""One training, as the commands share it: a built-in version fitted to data and judged on the test part."""

import argparse
from pathlib import Path
from typing import Any

import torch

from training import data, evaluate, fit, scenes
from training.data import Data
from training.fit import Options
from training.networks.base import SceneNetwork
from training.zoo import MODELS, Entry

DEFAULTS = Options()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What every training is told on the command line."""
    add = parser.add_argument
    add("--setting", choices=MODELS, default="live", help="default: live")
    add("--data", type=Path, metavar="FOLDER", help="train on exported games, or Big Data Bowl files, instead")
    add("--games", type=int, default=len(data.TRAIN_SEEDS), help="simulated games to train on (default: 120)")
    add("--epochs", type=int, default=DEFAULTS.epochs, help=f"passes over them (default: {DEFAULTS.epochs})")
    add(
        "--patience",
        type=int,
        default=DEFAULTS.patience,
        help=f"stop after so many epochs without a better validation error (default: {DEFAULTS.patience})",
    )
    add("--cache", type=Path, default=Path("build/training"), help="where scenes and checkpoints are")
    add("--mlflow", default="", metavar="URI", help="where MLflow keeps runs (default: build/mlflow)")
    add("--scheduler", default="", metavar="ADDRESS", help="of a Dask cluster, as tcp://host:8786 (default: none)")


def data_of(arguments: argparse.Namespace) -> Data:
    """The data that the command line names.

    Raises:
        OSError: the folder or a file of it cannot be read.
        BigDataBowlError: the files are no Big Data Bowl files.
        ValueError: there are too few games.
    """
    if arguments.data:
        return data.recorded(arguments.data, arguments.setting, arguments.cache)
    return data.simulated(arguments.setting, arguments.cache, arguments.games, arguments.scheduler)


def name_of(entry: Entry, source: Data, arguments: argparse.Namespace, seed: int) -> str:
    """Name of a run and of its checkpoint."""
    return f"{entry.name}-{arguments.setting}-{source.name}-{arguments.epochs}-{seed}"


def checkpoint_of(run: str, cache: Path) -> Path:
    """Where the state of a run is kept."""
    return cache / scenes.source_digest() / f"{run}.pt"


def parameters_of(entry: Entry, source: Data, options: Options) -> dict[str, object]:
    """What MLflow is told of a run."""
    own = {name: getattr(options, name) for name in ("epochs", "patience", "seed")}
    return own | {"data": source.description, "version": entry.version, "learning_rate": entry.learning_rate}


def train(entry: Entry, source: Data, options: Options) -> tuple[SceneNetwork, dict[str, Any]]:
    """The fitted network, and the report on the test part."""
    torch.manual_seed(options.seed)
    network = entry.build()
    if entry.learning_rate:
        validation = source.part("validation")
        entry.fit(network, source.part("train"), validation, entry.learning_rate, options)
        fit.calibrate(network, validation)
    test = source.part("test")
    return network, evaluate.report(test, *fit.predict(network, test))
