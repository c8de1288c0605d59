"""Whether the trajectory score deserves trust: `python -m benchmarks.score {experiment,readings,expert}`."""

import argparse
import json
import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from rich.console import Console
from rich.progress import track

from benchmarks.score import experiment, expert, labels, plot, readings, report, subjects, trajectories
from benchmarks.score.labels import NEAR, Labelled, LabelsError
from benchmarks.score.subjects import Model
from benchmarks.score.trajectories import NothingToScoreError
from ghostback import bigdatabowl
from ghostback.play import Play
from services.common.errors import DomainError
from services.score import profiles

SEED = 50_000
"""Simulated games from here on are not seen in training."""
DISAGREEMENTS = 3
WIDTH = 200
"""Characters of a line where the output is no terminal's."""


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.score",
        description="Whether the trajectory score deserves trust.",
        epilog="example: python -m benchmarks.score experiment --data my-games",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (_, does, example) in _COMMANDS.items():
        command = commands.add_parser(
            name, help=does, description=does, epilog=f"example: python -m benchmarks.score {name} {example}"
        )
        command.add_argument("--data", type=Path, help="folder of Big Data Bowl files")
        command.add_argument("--seed", type=int, default=SEED, help=f"of the first simulated game (default: {SEED})")
        command.add_argument("--games", type=int, default=6, help="simulated games, one a seed (default: 6)")
        command.add_argument("--plays", type=int, default=150, help="plays of each (default: 150)")
        command.add_argument(
            "--model", default="ghosting", help="such as ghosting-1.0.0 (default: the highest version of ghosting)"
        )
        command.add_argument("--spoiling-seed", type=int, default=1, help="of random starts (default: 1)")
        command.add_argument("--resamples", type=int, default=300, help="of the bootstrap (default: 300)")
        command.add_argument("--json", action="store_true", help="print JSON, all else to standard error")
        if name != "readings":
            command.add_argument("--profile", default="", help=f"score profile (default: {profiles.DEFAULT.id})")
        if name == "experiment":
            command.add_argument(
                "--draws", type=int, default=1, help="of random starts, averaged; more for few passes (default: 1)"
            )
            command.add_argument("--plot", type=Path, help="PNG file to draw the scores into")
        else:
            command.add_argument(
                "--questionable-from",
                type=float,
                default=1.5,
                help="mean distance from the truth at which the test expert objects, yards (default: 1.5)",
            )
        if name == "expert":
            command.add_argument("--labels", type=Path, help="CSV file of labels (default: the test expert's)")
            command.add_argument("--write", type=Path, help="CSV file to write the test expert's labels to")
    arguments = parser.parse_args()
    if arguments.command == "expert" and arguments.data and not arguments.labels:
        parser.error("--data needs --labels: nobody knows what real defenders would have done elsewhere")
    console = Console(stderr=arguments.json, width=None if sys.stdout.isatty() else WIDTH)
    try:
        found = _COMMANDS[arguments.command][0](arguments, subjects.load(arguments.model), console)
    except (DomainError, LabelsError, NothingToScoreError, bigdatabowl.BigDataBowlError, OSError) as error:
        sys.exit(f"error: {error}")
    if arguments.json:
        print(json.dumps(found))  # noqa: T201


def _experiment(arguments: argparse.Namespace, model: Model, console: Console) -> object:
    """The seed's experiment, on real files or simulated games."""
    plays = trajectories.recorded(arguments.data) if arguments.data else _simulated(arguments)
    profile = profiles.get(arguments.profile)
    result = experiment.run(
        _shown(plays, "passes", console),
        model,
        profile,
        arguments.spoiling_seed,
        arguments.draws,
        arguments.resamples,
    )
    console.print(report.experiment_table(result))
    if arguments.plot:
        plot.draw(result, arguments.plot)
    return report.experiment_json(result)


def _readings(arguments: argparse.Namespace, model: Model, console: Console) -> object:
    """Every reading on simulated games, and on real ones beside them."""
    drawn = {"actual": subjects.actual, "spoiled": _spoiled(arguments)}
    plays = {readings.SIMULATED: _simulated(arguments)}
    if arguments.data:
        plays[readings.REAL] = trajectories.recorded(arguments.data)
    sources = {name: trajectories.gather(_shown(each, name, console), drawn) for name, each in plays.items()}
    compared = readings.compare(sources, _test_expert(arguments, model, console), arguments.resamples)
    console.print(report.readings_table(compared))
    return report.readings_json(compared)


def _expert(arguments: argparse.Namespace, model: Model, console: Console) -> object:
    """Agreement with an expert, and a profile fitted to the labels."""
    profile = profiles.get(arguments.profile)
    if arguments.labels:
        given = labels.read(arguments.labels)
        plays: Iterable[Play] = _simulated(arguments)
        if arguments.data:
            plays = trajectories.recorded(arguments.data)
        elif any(label.target for label in given):
            plays = chain(plays, _simulated(arguments, what_ifs=True))
        found = trajectories.gather(_shown(plays, "passes", console), _subjects(arguments, model))
        labelled = labels.match(given, found)
    else:
        labelled = _test_expert(arguments, model, console)
        if arguments.write:
            labels.write(arguments.write, labelled.labels)
    fit = expert.fit(labelled, profile)
    compared = {profile.id: profile} | ({"fitted": fit.profile} if fit else {})
    parts = {"": labelled, f", within {NEAR:g} yd": labelled.within(NEAR)}
    agreements = {
        f"{name}{where}": expert.agreement(part, each, arguments.resamples)
        for where, part in parts.items()
        if len(set(part.questionable.tolist())) == 2
        for name, each in compared.items()
    }
    console.print(report.labels_table(labelled, profile))
    console.print(report.agreement_table(agreements))
    console.print(report.fit_text(fit, profile))
    console.print(report.disagreements_table(expert.disagreements(labelled, profile, DISAGREEMENTS)))
    return report.expert_json(labelled, agreements, fit)


_COMMANDS = {
    "experiment": (
        _experiment,
        "Score players, a model, and the model with a growing share spoiled, beside the published figures; on "
        "simulated games, or on the files in --data.",
        "--data my-games --draws 20",
    ),
    "readings": (
        _readings,
        "Compare every reading of the score: on simulated games, with a test expert who knows what defenders would "
        "truly have done, and on the files in --data.",
        "--data my-games",
    ),
    "expert": (
        _expert,
        "Tell how well the score agrees with an expert, and fit a score profile to the labels. The expert is the file "
        "in --labels, on simulated games or the files in --data; or else a test expert who knows what simulated "
        "defenders would truly have done.",
        "--labels labels.csv --data my-games",
    ),
}


def _simulated(arguments: argparse.Namespace, what_ifs: bool = False) -> Iterable[Play]:
    seeds = range(arguments.seed, arguments.seed + arguments.games)
    return trajectories.simulated(seeds, arguments.plays, what_ifs)


def _spoiled(arguments: argparse.Namespace) -> subjects.Subject:
    return subjects.spoiled(subjects.constant_velocity, 1.0, arguments.spoiling_seed)


def _subjects(arguments: argparse.Namespace, model: Model) -> dict[str, subjects.Subject]:
    return {
        "actual": subjects.actual,
        model.id: model,
        "constant velocity": subjects.constant_velocity,
        "spoiled": _spoiled(arguments),
    }


def _test_expert(arguments: argparse.Namespace, model: Model, console: Console) -> Labelled:
    plays = _shown(_simulated(arguments, what_ifs=True), "what-ifs", console)
    what_ifs = trajectories.gather(plays, _subjects(arguments, model))
    return labels.match(labels.of_test_expert(what_ifs, arguments.questionable_from), what_ifs)


def _shown(plays: Iterable[Play], what: str, console: Console) -> Iterable[Play]:
    return track(plays, what, total=None, console=console, transient=True)


if __name__ == "__main__":
    main()
