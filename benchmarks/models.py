"""Every built-in model version beside the others, on games no training saw, from the shipped artifacts."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from matplotlib import pyplot
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ghostback import bigdatabowl
from services.features.feature_sets import FEATURE_SETS
from services.predict import registry
from services.predict.registry import ModelVersion, State
from simulator.game import simulate_game
from training import evaluate, scenes
from training.export import run_onnx
from training.floor import noise_floor
from training.scenes import Scenes
from training.zoo import MODELS, ZOO

SEED, GAMES = 40_000, 6
LATENCY_CALLS = 100
WHAT_IF_GAMES, WHAT_IF_DRAWS = 3, 5
"""For the noise floor of what-ifs, of which a pass has four."""
WIDTH = 200
"""Characters of a line where the output is no terminal's."""


def main() -> None:
    """Parse the command line, evaluate and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.models",
        description=__doc__,
        epilog="example: python -m benchmarks.models --seed 500 --games 10",
    )
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the first simulated game (default: {SEED})")
    parser.add_argument("--games", type=int, default=GAMES, help=f"simulated games, one a seed (default: {GAMES})")
    parser.add_argument("--data", type=Path, help="folder of Big Data Bowl files, instead of simulated games")
    parser.add_argument("--plot", type=Path, help="PNG file to draw the errors at each step to")
    arguments = parser.parse_args()
    errors, console = Console(stderr=True), Console(width=None if sys.stdout.isatty() else WIDTH)
    versions = list(registry.discover(FEATURE_SETS).versions.values())
    seeds = range(arguments.seed, arguments.seed + arguments.games)
    result: dict[str, Any] = {"models": {}, "noise_floor_ade": None}
    if not arguments.data:
        games = [simulate_game(seed, scenes.PLAYS_A_GAME) for seed in track(seeds, "noise floor", console=errors)]
        floor = noise_floor(games)
        other = noise_floor(games[:WHAT_IF_GAMES], WHAT_IF_DRAWS, of_what_ifs=True)
        result |= {"noise_floor_ade": floor["ade"], "noise_floor_rmse": floor["rmse"]}
        result["noise_floor_what_if_ade"] = other["ade"]
    for setting, model in MODELS.items():
        own = [each for each in versions if each.manifest.name == model and each.state is not State.FAILED]
        try:
            held = _recorded(arguments.data, setting) if arguments.data else _simulated(seeds, setting, errors)
        except (bigdatabowl.BigDataBowlError, OSError) as error:
            sys.exit(f"error: {error}")
        reports = {version.id: _report(version, held) for version in track(own, setting, console=errors)}
        result["ts_actual"] = next(iter(reports.values()))["ts_actual"]
        result["models"] |= {name: _figures(report) for name, report in reports.items()}
        console.print(_table(setting, held, own, reports))
    if arguments.plot:
        _plot(arguments.plot, result)
    console.print(f"trajectory score of the players themselves: {result['ts_actual']:.4f}")
    if not arguments.data:
        console.print(
            f"noise floor: RMSE {floor['rmse']:.3f} yd, ADE {floor['ade']:.3f} yd, what-if ADE {other['ade']:.3f} yd; "
            "nothing that is known at the throw tells more of where a simulated defender goes"
        )
    print(json.dumps(result))  # noqa: T201


def _simulated(seeds: range, setting: str, console: Console) -> Scenes:
    parts = [scenes.of_seed(seed, setting, with_what_ifs=True) for seed in track(seeds, setting, console=console)]
    return Scenes.concatenate(parts)


def _recorded(folder: Path, setting: str) -> Scenes:
    parts = [
        scene
        for i, (_, plays) in enumerate(bigdatabowl.read(str(folder)))
        for scene in scenes.of_plays(plays, setting, i)
    ]
    if not parts:
        raise OSError(f"{folder} has no pass with a target")
    return Scenes.concatenate(parts)


def _report(version: ModelVersion, held: Scenes) -> dict[str, Any]:
    """Errors on the scenes, size, and milliseconds of one call in process on one core."""
    report = evaluate.report(held, *run_onnx(version.artifact, held))
    graph = onnx.load(version.artifact).graph
    weights = sum(int(np.prod(each.dims, dtype=int)) for each in graph.initializer if each.data_type == 1)
    leaves = [each for node in graph.node for each in node.attribute if each.name == "target_weights"]
    report["parameters"] = weights + sum(len(each.floats) for each in leaves)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(version.artifact), options, providers=["CPUExecutionProvider"])
    for batch in (1, 32):
        inputs = held.take(np.arange(batch) % len(held)).inputs
        session.run(None, inputs)
        started = time.perf_counter()
        for _ in range(LATENCY_CALLS):
            session.run(None, inputs)
        report[f"ms_at_{batch}"] = 1000 * (time.perf_counter() - started) / LATENCY_CALLS
    return report


def _figures(report: dict[str, Any]) -> dict[str, Any]:
    """What scripts are told of a model."""
    actual, what_if = report["actual"], report["what_if"]
    chosen = ("rmse", "rmse_all", "ade", "ade_ten", "fde", "nearest_defender", "ts", "superhuman_steps", "calibration")
    return {name: actual[name] for name in chosen} | {
        "what_if_ade": what_if["ade"] if what_if else None,
        "parameters": report["parameters"],
        "ms_at_1": report["ms_at_1"],
        "ms_at_32": report["ms_at_32"],
    }


def _table(setting: str, held: Scenes, versions: list[ModelVersion], reports: dict[str, dict[str, Any]]) -> Table:
    n = next(iter(reports.values()))["actual"]["trajectories"]
    table = Table(title=f"{setting}: {n:,} defensive backs of {int((~held.what_if).sum()):,} passes, errors in yards")
    table.add_column("", max_width=40)
    for version in versions:
        table.add_column(f"{version.manifest.version} {version.folder.name.replace('_', ' ')}", justify="right")

    def row(name: str, values: list[str]) -> None:
        table.add_row(name, *values)

    actual = [reports[version.id]["actual"] for version in versions]
    for i in range(evaluate.STEPS):
        row(f"RMSE at step {i + 1}", [f"{each['rmse'][i]:.3f}" for each in actual])
    for name, title in (
        ("rmse_all", "RMSE, whole flight"),
        ("ade", "ADE, whole flight"),
        ("ade_ten", "ADE, ten steps"),
        ("fde", "FDE"),
        ("nearest_defender", "nearest defender's distance at arrival, mean absolute error"),
    ):
        row(title, [f"{each[name]:.3f}" for each in actual])
    for i, part in enumerate(("shortest", "second", "third", "longest")):
        row(f"ADE, {part} quarter of flights", [f"{each['ade_by_air_time'][i]:.3f}" for each in actual])
    what_if = [reports[version.id]["what_if"] for version in versions]
    if all(what_if):
        row("what-if ADE", [f"{each['ade']:.3f}" for each in what_if])
    row("trajectory score (default profile)", [f"{each['ts']:.4f}" for each in actual])
    row("superhuman steps", [str(each["superhuman_steps"]) for each in actual])
    for share in ("50%", "90%"):
        told = [each["calibration"] for each in actual]
        row(f"in the {share} ellipse", [f"{each[share]:.1%}" if each else "-" for each in told])
    row("weights in the artifact", [f"{reports[version.id]['parameters']:,}" for version in versions])
    for batch in (1, 32):
        row(f"ms a call, batch {batch}, one core", [f"{reports[v.id][f'ms_at_{batch}']:.1f}" for v in versions])
    return table


def _plot(path: Path, result: dict[str, Any]) -> None:
    """Errors at each step, a panel for each setting."""
    figure, panels = pyplot.subplots(1, 2, figsize=(11, 4.2), sharey=True, layout="constrained")
    for panel, (setting, model) in zip(panels, MODELS.items(), strict=True):
        for entry in ZOO.values():
            figures = result["models"].get(f"{model}-{entry.version}")
            if figures:
                seconds = [0.1 * (i + 1) for i in range(evaluate.STEPS)]
                panel.plot(seconds, figures["rmse"], marker=".", label=entry.name.replace("_", " "))
        panel.set(title=setting, xlabel="seconds after the throw", xlim=(0, 0.1 * evaluate.STEPS))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("root mean squared error, yards")
    panels[0].legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
