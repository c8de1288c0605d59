"""Train the model of yards after catch: `python -m training.yards network --setting live`."""

import argparse
from functools import partial
from typing import Any

from rich.console import Console

from training.outcomes import command
from training.yards import catches, evaluate, network

VERSION = command.Version(
    "training.yards",
    "yards-after-catch",
    "1.0.0",
    "A small network for a distribution over whole yards after the catch",
)
NAME = "network"


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
    train, validation, test = map(catches.caught, command.passes_of(arguments))
    model = network.fit(train, validation, arguments.seed)
    report = partial(evaluate.report, test, train=train)
    return command.write(arguments, model, VERSION, train.catch, test.catch, test.actual, report)


def _show(arguments: argparse.Namespace, metrics: dict[str, Any], seconds: float) -> None:
    console = Console()
    for kind, which in (("actual", "passes as thrown"), ("all", "passes to every receiver")):
        title = f"{arguments.setting}: {metrics[kind]['passes']:,} caught {which}, games never seen"
        console.print(command.error_table(title, metrics[kind]["yards"], evaluate.ERRORS))
    console.print(f"{seconds:.0f} s in all")


if __name__ == "__main__":
    main()
