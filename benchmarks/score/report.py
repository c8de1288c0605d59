"""What the commands found: tables for people, which Markdown reads too, and JSON for programs."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields

import numpy as np
from rich import box
from rich.table import Table

from benchmarks.score.experiment import Result
from benchmarks.score.expert import Agreement, Fit
from benchmarks.score.labels import NEAR, Label, Labelled
from benchmarks.score.readings import Reading
from benchmarks.score.statistics import Floats
from services.score.profiles import Diverging, ScoreProfile

PUBLISHED = {"actual": -0.1036, "model": -0.0825, "25% article": 0.0425, "25% paper": 0.0452}
"""Mean trajectory scores (Amazon Science article on Next Gen Stats; Cheong, Zeng, Tyagi 2021)."""

_DIVERGING = {Diverging.MULTIPLY: "x DR", Diverging.COMPLEMENT: "x (2 - DR)", Diverging.DIVIDE: "/ DR"}


def experiment_table(result: Result) -> Table:
    """Scores of players, model and spoiled, beside the published ones."""
    published = {
        "actual": f"{PUBLISHED['actual']:+.4f}",
        "model": f"{PUBLISHED['model']:+.4f}",
        "paths 25%": f"{PUBLISHED['25% article']:+.4f}, paper {PUBLISHED['25% paper']:+.4f}",
    }
    table = _table(
        f"{result.model} ({result.setting}), {result.profile}, lower is better: {result.trajectories:,} trajectories "
        f"of {result.passes:,} passes, {result.left_out} passes left out; 95% intervals, {result.resampled} resampled; "
        "spoiled: a share of the paths drawn, or of the starts shown to the model",
        "trajectories of",
        ("TS", "95%", "play score", "95%", "superhuman steps a 100", "published TS"),
    )
    for row in result.rows:
        how, _, share = row.name.partition(" ")
        table.add_row(
            f"model, {share} of {how}" if share else {"actual": "players"}.get(how, how),
            f"{row.score:+.4f}",
            _interval(row.score_interval),
            f"{row.play_score:+.4f}",
            _interval(row.play_score_interval),
            f"{100 * row.superhuman_steps:.2f}",
            published.get(row.name, ""),
        )
    return table


def experiment_json(result: Result) -> dict[str, object]:
    """The same, for programs."""
    return {
        **{f.name: getattr(result, f.name) for f in fields(result) if f.name != "rows"},
        "subjects": {
            row.name: {
                "ts": row.score,
                "ts_interval": row.score_interval.tolist(),
                "play_score": row.play_score,
                "play_score_interval": row.play_score_interval.tolist(),
                "superhuman_steps": row.superhuman_steps,
            }
            for row in result.rows
        },
        "published_ts": PUBLISHED,
    }


def readings_table(readings: Iterable[Reading]) -> Table:
    """Every reading, the best first."""
    readings = list(readings)
    sources = list(readings[0].separation)
    table = _table(
        f"Readings, sound first, then by mean AUC; ± half of the 95% interval; near: within {NEAR:g} yd at the pass",
        "distance to",
        (
            *("weights", "PS > 0", "efforts ordered"),
            *(f"{source} {what}" for source in sources for what in ("TS", "AUC")),
            *("expert AUC", "expert tau", "expert near AUC", "mean AUC"),
        ),
    )
    for each in readings:
        table.add_row(
            each.profile.measured_to.name.lower().replace("_", " "),
            each.weights,
            _DIVERGING[each.profile.diverging],
            "yes" if each.orders_efforts else "no",
            *(
                cell
                for found in each.separation.values()
                for cell in (f"{found.actual:+.3f}", _plus_minus(found.auc, found.interval))
            ),
            _plus_minus(each.auc, each.interval),
            f"{each.tau:.3f}",
            f"{each.near_auc:.3f}",
            f"{each.mean_auc:.3f}",
            style="bold" if each is readings[0] else "" if each.sound else "dim",
        )
    return table


def readings_json(readings: Iterable[Reading]) -> list[dict[str, object]]:
    """The same, for programs."""
    return [
        {
            "measured_to": each.profile.measured_to.name,
            "weights": each.weights,
            "diverging": each.profile.diverging.name,
            "sound": each.sound,
            "orders_efforts": each.orders_efforts,
            "sources": {
                name: {
                    "ts_actual": found.actual,
                    "ts_spoiled": found.spoiled,
                    "auc": found.auc,
                    "auc_interval": found.interval.tolist(),
                }
                for name, found in each.separation.items()
            },
            "expert": {
                "auc": each.auc,
                "auc_interval": each.interval.tolist(),
                "tau": each.tau,
                "near_auc": each.near_auc,
            },
            "mean_auc": each.mean_auc,
        }
        for each in readings
    ]


def labels_table(labelled: Labelled, profile: ScoreProfile) -> Table:
    """What was labelled."""
    table = _table(
        f"{len(labelled.labels):,} labels",
        "trajectories of",
        ("labels", "questionable", "mean grade", "mean TS"),
    )
    subject, score = labelled.subject, labelled.score(profile)
    for name in dict.fromkeys(subject.tolist()):
        chosen = subject == name
        table.add_row(
            name,
            f"{chosen.sum():,}",
            f"{labelled.questionable[chosen].mean():.0%}",
            f"{labelled.grade[chosen].mean():.2f}",
            f"{score[chosen].mean():+.4f}",
        )
    return table


def agreement_table(agreements: Mapping[str, Agreement]) -> Table:
    """How well profiles agree with the expert."""
    table = _table("Agreement with the expert", "score profile", ("AUC", "95%", "tau", "95%", "same defender", "95%"))
    for name, each in agreements.items():
        cells: list[str] = []
        for value, interval in zip((each.auc, each.tau, each.pairs), each.intervals.T, strict=True):
            cells += ["-", "-"] if math.isnan(value) else [f"{value:.3f}", _interval(interval)]
        table.add_row(name, *cells)
    return table


def fit_text(fit: Fit | None, before: ScoreProfile) -> str:
    """What fitting found, in plain words."""
    if fit is None:
        return "Nothing was fitted: there are too few labels to hold some out."
    folds = ", ".join(f"({lateness:g}, {effort:g})" for lateness, effort in fit.chosen)
    return (
        f"Fitted: lateness={fit.profile.lateness:g}, effort={fit.profile.effort:g}. AUC on {fit.by} held out "
        f"{fit.held_out_auc:.3f}, {before.id} {fit.before_auc:.3f}; chosen by the folds: {folds}"
    )


def disagreements_table(found: Iterable[tuple[float, Label]]) -> Table:
    """Where score and expert differ most."""
    table = _table("Clearest disagreements", "play", ("defender", "target", "trajectory", "label", "TS", "reason"))
    for score, each in found:
        label = "questionable" if each.questionable else "good"
        table.add_row(each.play, each.defender, each.target, each.trajectory, label, f"{score:+.3f}", each.reason)
    return table


def expert_json(labelled: Labelled, agreements: Mapping[str, Agreement], fit: Fit | None) -> dict[str, object]:
    """All of it, for programs."""

    def number(value: float) -> float | None:
        return None if math.isnan(value) else value

    return {
        "labels": len(labelled.labels),
        "questionable": int(labelled.questionable.sum()),
        "resampled": labelled.clusters[0],
        "agreement": {
            name: {
                statistic: {"value": number(value), "interval": [number(bound) for bound in interval.tolist()]}
                for statistic, value, interval in zip(
                    ("auc", "tau", "same_defender"), (each.auc, each.tau, each.pairs), each.intervals.T, strict=True
                )
            }
            for name, each in agreements.items()
        },
        "fit": fit
        and {
            "lateness": fit.profile.lateness,
            "effort": fit.profile.effort,
            "held_out_auc": fit.held_out_auc,
            "before_auc": fit.before_auc,
            "by": fit.by,
        },
    }


def _table(title: str, first: str, others: Iterable[str]) -> Table:
    table = Table(title=title, box=box.MARKDOWN, title_justify="left")
    table.add_column(first)
    for column in others:
        table.add_column(column, justify="right")
    return table


def _plus_minus(value: float, interval: Floats) -> str:
    return f"{value:.3f} ±{np.ptp(interval) / 2:.3f}"


def _interval(bounds: Iterable[float]) -> str:
    return "{:.3f} to {:.3f}".format(*bounds)
