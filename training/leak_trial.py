"""How often the statistical test for leaks is wrong: `python -m training.leak_trial`.

Honest columns are candidates that the tracks make, treated as if they were handed in: the rest of the table, less
what correlates with them, has to make do without. Leaks are where a defender went, blurred by more and more noise.
"""

import argparse
import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table as RichTable

from services.features.screening import catalogue, leaks, ranking
from services.features.screening.boosting import Floats, Rows, Workers, split_by_game
from services.features.screening.screen import FOLDS
from services.features.screening.table import Table
from training.screening import of_seed

RELATED = 0.95
"""Spearman's correlation above which a column is taken away with the one that is tried."""
BLURS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Standard deviations of the noise on a leak, yards."""
REPEATS = 4


@dataclass(frozen=True, slots=True)
class Trial:
    """One kind of column put to the test some times.

    Attributes:
        kind: what the columns are.
        excess: what the test measured.
    """

    kind: str
    excess: leaks.Excess

    def summary(self) -> dict[str, str | int | float]:
        """Figures over the columns."""
        share = self.excess.partial_r2
        return {
            "kind": self.kind,
            "columns": len(share),
            "median": float(np.median(share)),
            "largest": float(share.max()),
            "reported": float(self.excess.leaks.mean()),
        }


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m training.leak_trial",
        description="Measure how often the statistical test for leaks reports honest columns, noise, and leaks that "
        "are more and more blurred, on simulated games.",
        epilog="example: python -m training.leak_trial --games 20",
    )
    parser.add_argument("--games", type=int, default=20, help="games to simulate (default: 20)")
    parser.add_argument("--honest", type=int, default=40, help="honest columns to try (default: 40)")
    parser.add_argument("--seed", type=int, default=1, help="seed of everything but the games (default: 1)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="models fitted at a time")
    parser.add_argument("--json", action="store_true", help="print the figures as one line of JSON")
    arguments = parser.parse_args()
    console = Console(stderr=arguments.json)
    with ProcessPoolExecutor(arguments.threads) as pool:
        games = pool.map(partial(of_seed, setting="live"), range(10_000, 10_000 + arguments.games))
        parts = list(track(games, "games", arguments.games, console=console))
    rows = Table.concatenate(parts, len(catalogue.of_setting("live")))
    workers = Workers(arguments.seed, arguments.threads)
    trials = list(track(_trials(rows, workers, arguments.honest), "trials", 2 + 2 * len(BLURS), console=console))
    figures = [trial.summary() for trial in trials]
    if arguments.json:
        print(json.dumps({"rows": len(rows), "trials": figures}))  # noqa: T201
        return
    shown = RichTable(title=f"Test for leaks on {len(rows):,} rows of {arguments.games} games")
    for heading in ("columns", "number", "median partial R^2", "largest", "reported"):
        shown.add_column(heading, justify="left" if heading == "columns" else "right")
    for each in figures:
        shares = (f"{each[name]:.1%}" for name in ("median", "largest", "reported"))
        shown.add_row(str(each["kind"]), str(each["columns"]), *shares)
    console.print(shown)


def _trials(rows: Table, workers: Workers, n_honest: int) -> Iterator[Trial]:
    rng = np.random.default_rng(workers.seed)
    folds = split_by_game(rows.game, FOLDS, workers.seed)
    varied = np.ma.masked_invalid(rows.values).std(axis=0).filled(0) > 0
    trusted = np.flatnonzero(varied & rows.evidence.of_tracks & ~rows.evidence.knows_future)
    yield Trial("honest, of the tracks", _honest(rows, trusted, rng.permutation(trusted)[:n_honest], folds, workers))
    n = len(rows)
    yield Trial("noise", _planted(rows, trusted, rng.normal(size=(n, 5 * REPEATS)), folds, workers))
    for name, truth in (
        ("place across the field", rows.displacement[:, 1]),
        ("distance covered", np.linalg.norm(rows.displacement, axis=1)),
    ):
        for blur in BLURS:
            planted = truth[:, None] + rng.normal(0, blur, (n, REPEATS))
            kind = f"leak: {name}, blurred by {blur:g} yd"
            yield Trial(kind, _planted(rows, trusted, planted, folds, workers))


def _planted(
    rows: Table, trusted: NDArray[np.intp], columns: Floats, folds: list[Rows], workers: Workers
) -> leaks.Excess:
    """What some new columns (n_rows, n) tell beyond the trusted ones."""
    together = replace(rows, values=np.hstack([rows.values, columns.astype(np.float32)]))
    suspects = np.arange(columns.shape[1]) + rows.values.shape[1]
    return leaks.excess(together, trusted, suspects, folds, workers, lambda done, total: None)


def _honest(
    rows: Table, trusted: NDArray[np.intp], tried: NDArray[np.intp], folds: list[Rows], workers: Workers
) -> leaks.Excess:
    """What trusted columns tell beyond the others that are not related."""
    found = []
    for column in tried.tolist():
        others = trusted[trusted != column]
        related = {
            int(other) for other in others if ranking.twins(rows.values[:, [column, other]], np.array([0, 1]), RELATED)
        }
        base = np.array([other for other in others.tolist() if other not in related])
        found.append(leaks.excess(rows, base, np.array([column]), folds, workers, lambda done, total: None))
    return leaks.Excess(np.array([each.partial_r2[0] for each in found]), np.array([each.z[0] for each in found]))


if __name__ == "__main__":
    main()
