"""What a run of the demo found out, as tables for the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from demo.results import Results
from ghostback.score.v1.statistics_service_pb2 import Leader

_LISTED = 3
"""Leaders shown from either end of a board."""


def show(results: Results, console: Console) -> None:
    """Everything."""
    scores = Table(title=f"Trajectory scores, {results.model_version}; lower is better")
    scores.add_column("trajectories of", no_wrap=True)
    for column in ("catch\npoint", "receiver", "n", "play\nscore", "plays", "published"):
        scores.add_column(column, justify="right", no_wrap=True)
    for row in results.rows():
        default, receiver = row["scores"]
        cells = (f"{default.mean:+.4f}", f"{receiver.mean:+.4f}", str(default.n))
        scores.add_row(row["title"], *cells, f"{row['play'].mean:+.4f}", str(row["play"].n), f"{row['published']:+.4f}")
    console.print(scores)
    _show_decision(results, console)
    expected, completed = results.completion()
    console.print(f"Of {expected.n} passes {expected.mean:.0%} were expected to be caught, {completed.mean:.0%} were.")
    for title, leaders in results.leaders.items():
        _show_leaders(title, leaders, console)
    samples = Table()
    samples.add_column("samples")
    samples.add_column("number", justify="right")
    for kind, count in results.samples():
        samples.add_row(kind, f"{count:,}")
    console.print(samples)
    steps = Table(title="Wall time")
    steps.add_column("step")
    steps.add_column("seconds", justify="right")
    for step, seconds in results.seconds.items():
        steps.add_row(step, f"{seconds:.1f}")
    steps.add_row("all", f"{sum(results.seconds.values()):.1f}")
    console.print(steps)
    console.print(f"{len(results.passes)} passes with ghosts, {results.what_ifs} what-ifs")
    left_out = {
        "no ghosts": results.without_ghosts,
        "no forecast": results.without_forecasts,
        "not scored": results.without_scores,
    }
    for what, plays in left_out.items():
        for reason in plays.values():
            console.print(f"{what}: {reason}")


def _show_decision(results: Results, console: Console) -> None:
    """What a pass to each receiver was worth, and what the choice left on the field."""
    if results.decision is None:
        return
    play, response = results.decision
    [decision] = response.decisions
    names = {each.participant_id: f"{each.display_name.split()[-1]}, {each.position}" for each in play.participants}
    table = Table(title=f"{play.name} at the throw: {play.description}")
    table.add_column("pass to", no_wrap=True)
    for column in ("points", "90%", "best", "caught", "picked", "air", "run"):
        table.add_column(column, justify="right", no_wrap=True)
    for each in decision.options:
        table.add_row(
            names[each.target_id] + (" *" if each.target_id == decision.chosen_target_id else ""),
            f"{each.value:+.2f}",
            f"{each.value_low:+.1f} to {each.value_high:+.1f}",
            f"{each.best_probability:.0%}",
            f"{each.completion_probability:.0%}",
            f"{each.interception_probability:.0%}",
            f"{each.air_yards:.0f}",
            f"{each.yards_after_catch:.1f}",
        )
    console.print(table)
    console.print(decision.explanation)


def _show_leaders(title: str, leaders: Sequence[Leader], console: Console) -> None:
    """The first and the last of a leaderboard."""
    table = Table(title=f"{title}: {len(leaders)} with attempts enough")
    for column in ("", "player", "team"):
        table.add_column(column, no_wrap=True)
    for column in ("n", "mean", "95%", "shrunk"):
        table.add_column(column, justify="right", no_wrap=True)
    cut = len(leaders) > 2 * _LISTED
    for each in [*leaders[:_LISTED], *leaders[-_LISTED:]] if cut else leaders:
        certain = f"{each.mean_low:+.3f} to {each.mean_high:+.3f}" if each.HasField("mean_low") else ""
        cells = (str(each.attempts), f"{each.mean:+.3f}", certain, f"{each.shrunk_mean:+.3f}")
        table.add_row(str(each.rank), f"{each.display_name}, {each.position}", each.team_id, *cells)
    console.print(table)
