"""The picture of the published experiment."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.score.experiment import SHARES, Result
from benchmarks.score.report import PUBLISHED


def draw(result: Result, path: Path) -> None:
    """Write a PNG: the score by the share spoiled, beside the players and the published figures."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    rows = {row.name: row for row in result.rows}
    percent = [0, *(100 * share for share in SHARES)]
    for how, what in (("paths", "of the model's paths"), ("starts", "of the starts shown to the model")):
        line = [rows["model"], *(rows[f"{how} {share:.0%}"] for share in SHARES)]
        score, bounds = [row.score for row in line], np.transpose([row.score_interval for row in line])
        axes.errorbar(percent, score, np.abs(bounds - score), fmt="o-", capsize=3, label=f"share {what}")
    players = rows["actual"]
    axes.axhline(players.score, color="black", label="players")
    axes.axhspan(*players.score_interval, color="black", alpha=0.1)
    axes.plot([0, 25], [PUBLISHED["model"], PUBLISHED["25% article"]], "k*", markersize=11, label="published model")
    axes.axhline(PUBLISHED["actual"], color="black", linestyle=":", label="published players")
    axes.set_xlabel("spoiled, %")
    axes.set_ylabel("mean trajectory score, yards a step (lower is better)")
    axes.set_title(f"{result.model} ({result.setting}), {result.profile}: {result.passes:,} passes")
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=100)
