"""Train a version of the pass-outcome model: `python -m training.outcomes trees --setting live`."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from rich.console import Console

from training import plugin
from training.outcomes import command, evaluate, network, passes, trees
from training.outcomes.passes import Float, Passes

MODELS = {"live": "pass-outcome", "retrospective": "pass-outcome-retrospective"}
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
    parser.add_argument("name", choices=ENTRIES, help="the model version")
    command.run(parser, _train, _show)


def _train(arguments: argparse.Namespace) -> dict[str, Any]:
    entry, setting = ENTRIES[arguments.name], arguments.setting
    train, validation, test = command.passes_of(arguments)
    feature_set = passes.feature_set_of(setting)
    model = entry.fit(train, validation, feature_set.tensors[0].entries, arguments.seed)
    out = arguments.out or Path("models/ghostback_models") / setting / f"pass_outcome_{arguments.name}"
    out.mkdir(parents=True, exist_ok=True)
    model.export(out / plugin.ARTIFACT)
    answers = plugin.run(out / plugin.ARTIFACT, {"measurements": test.measurements})
    metrics = evaluate.report(test, answers["probability"], train)
    golden = test.measurements[np.flatnonzero(test.actual)[:GOLDEN_ROWS]]
    plugin.write(
        out,
        plugin.Identity(MODELS[setting], entry.version, "pass-outcome", entry.description, TOLERANCE),
        feature_set,
        {"measurements": golden},
        {"probability": model.predict(golden)},
        {"measurements": train.measurements},
        metrics,
        command.provenance("training.outcomes", arguments, model.made_with),
    )
    return metrics


def _show(arguments: argparse.Namespace, metrics: dict[str, Any], seconds: float) -> None:
    console = Console()
    for kind, which in (("actual", "passes as thrown"), ("all", "passes to every receiver")):
        for event in evaluate.EVENTS:
            title = f"{arguments.name}, {event}: {metrics[kind]['passes']:,} {which}, games never seen"
            console.print(command.error_table(title, metrics[kind][event], evaluate.ERRORS))
    console.print(f"{seconds:.0f} s in all")


if __name__ == "__main__":
    main()
