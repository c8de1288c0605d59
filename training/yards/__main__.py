"""Train the model of yards after catch: `python -m training.yards network --setting live`."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from training import plugin
from training.outcomes import command
from training.yards import catches, evaluate, network

MODELS = {"live": "yards-after-catch", "retrospective": "yards-after-catch-retrospective"}
VERSION = "1.0.0"
DESCRIPTION = "A small network for a distribution over whole yards after the catch"
NAME = "network"
GOLDEN_ROWS = 4
TOLERANCE = 1e-3
"""Largest difference of a probability of the golden example."""


def main() -> None:
    """Parse the command line, train, evaluate and write the plugin."""
    parser = argparse.ArgumentParser(
        prog="python -m training.yards",
        description="Train a model of yards after catch on simulated games, evaluate it on others, write its plugin.",
        epilog="example: python -m training.yards network --setting live --games 24 --out out/plugin",
    )
    parser.add_argument("name", choices=[NAME], help="the model version")
    command.run(parser, _train, _show)


def _train(arguments: argparse.Namespace) -> dict[str, Any]:
    setting = arguments.setting
    train, validation, test = map(catches.caught, command.passes_of(arguments))
    feature_set = catches.feature_set_of(setting)
    model = network.fit(train, validation, arguments.seed)
    out = arguments.out or Path("models/ghostback_models") / setting / f"yards_after_catch_{NAME}"
    out.mkdir(parents=True, exist_ok=True)
    model.export(out / plugin.ARTIFACT)
    answers = plugin.run(out / plugin.ARTIFACT, {"measurements": test.catch})
    metrics = evaluate.report(test, answers["probability"].astype(np.float64), train)
    golden = test.catch[np.flatnonzero(test.actual)[:GOLDEN_ROWS]]
    plugin.write(
        out,
        plugin.Identity(MODELS[setting], VERSION, "yards-after-catch", DESCRIPTION, TOLERANCE),
        feature_set,
        {"measurements": golden},
        {"probability": model.predict(golden)},
        {"measurements": train.catch},
        metrics,
        command.provenance("training.yards", arguments, model.made_with),
    )
    return metrics


def _show(arguments: argparse.Namespace, metrics: dict[str, Any], seconds: float) -> None:
    console = Console()
    for kind, which in (("actual", "passes as thrown"), ("all", "passes to every receiver")):
        title = f"{arguments.setting}: {metrics[kind]['passes']:,} caught {which}, games never seen"
        console.print(command.error_table(title, metrics[kind]["yards"], evaluate.ERRORS))
    console.print(f"{seconds:.0f} s in all")


if __name__ == "__main__":
    main()
