"""Train a version of the pass-outcome model: `python -m training.outcomes trees --setting live`."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.console import Console

from training.outcomes import command, evaluate, network, passes, trees
from training.outcomes.passes import Passes


@dataclass(frozen=True, slots=True)
class Entry:
    """A version.

    Attributes:
        version: what it is.
        fit: fits it.
    """

    version: command.Version
    fit: Callable[[Passes, Passes, tuple[str, ...], int], command.Model]


_version = partial(command.Version, "training.outcomes", "pass-outcome")
ENTRIES = {
    "trees": Entry(_version("1.0.0", "Boosted trees for completion and interception, calibrated"), trees.fit),
    "network": Entry(_version("2.0.0", "A small network for completion and interception, calibrated"), network.fit),
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
    entry = ENTRIES[arguments.name]
    train, validation, test = command.passes_of(arguments)
    names = passes.feature_set_of(arguments.setting).tensors[0].entries
    model = entry.fit(train, validation, names, arguments.seed)
    report = partial(evaluate.report, test, train=train)
    return command.write(arguments, model, entry.version, train.measurements, test.measurements, test.actual, report)


def _show(arguments: argparse.Namespace, metrics: dict[str, Any], seconds: float) -> None:
    console = Console()
    for kind, which in (("actual", "passes as thrown"), ("all", "passes to every receiver")):
        for event in evaluate.EVENTS:
            title = f"{arguments.name}, {event}: {metrics[kind]['passes']:,} {which}, games never seen"
            console.print(command.error_table(title, metrics[kind][event], evaluate.ERRORS))
    console.print(f"{seconds:.0f} s in all")


if __name__ == "__main__":
    main()
