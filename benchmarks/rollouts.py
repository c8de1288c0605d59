"""How often an equal candidate is rolled back, and how many plays it takes to catch a worse one, by simulation."""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import stats

from benchmarks.score import subjects
from ghostback.play import Play
from services.common.errors import DomainError
from services.predict.rollouts import sequential
from services.score import evaluation, judge, trajectories
from simulator.game import simulate_game

SEED = 40_000
"""Simulated games from here on are not seen in training."""
PLAYS_A_GAME = 150
MODELS = {
    "1.0.0 on 1.1.0, a network much like it": ("ghosting-1.0.0", "ghosting-1.1.0"),
    "2.0.0 on 1.1.0, another network": ("ghosting-2.0.0", "ghosting-1.1.0"),
    "0.2.0 on 1.1.0, physics on a network": ("ghosting-0.2.0", "ghosting-1.1.0"),
    "1.1.0 on 0.2.0, a network on physics": ("ghosting-1.1.0", "ghosting-0.2.0"),
}
"""Candidate and stable arm that per-play errors are taken from."""
DRAWN = "drawn: stable is rarely, but then far off"
WORSE = (0.0, 0.05, 0.20)
TESTS = ("sequence", "t-test")
FIGURES = ("rolled back", "plays, median", "plays, 90%")
RUNS_AT_ONCE = 100
WIDTH = 160
"""Characters of a line where the output is no terminal's."""

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """What became of simulated rollouts, each watched after every play.

    Attributes:
        models: whose errors on plays the candidate and the stable arm have.
        worse: how much larger its average displacement error is than the stable arm's, as a share.
        test: what watched: our confidence sequence, or a t-test made for a number of plays fixed beforehand.
        rolled_back: share of the rollouts that were rolled back.
        median_plays: plays until half of them were; None where fewer were.
        plays_90: plays until 90% of them were; None where fewer were.
    """

    models: str
    worse: float
    test: str
    rolled_back: float
    median_plays: float | None
    plays_90: float | None


def main() -> None:
    """Parse the command line, simulate and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rollouts",
        description=__doc__,
        epilog="example: python -m benchmarks.rollouts --alpha 0.01 --limit 0.02",
    )
    parser.add_argument("--alpha", type=float, default=0.05, help="of the guardrail (default: 0.05)")
    parser.add_argument("--limit", type=float, default=0.0, help="how much worse is good enough (default: 0)")
    parser.add_argument("--plays", type=int, default=5000, help="of a rollout (default: 5000)")
    parser.add_argument("--min-plays", type=int, default=50, help="before the first look (default: 50)")
    parser.add_argument("--runs", type=int, default=1000, help="rollouts of each kind (default: 1000)")
    parser.add_argument("--games", type=int, default=6, help="simulated, for the models' errors (default: 6)")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the first game (default: {SEED})")
    arguments = parser.parse_args()
    progress = Console(stderr=True)
    plays = [
        play
        for seed in track(range(arguments.seed, arguments.seed + arguments.games), "games", console=progress)
        for play in evaluation.passes(simulate_game(seed, PLAYS_A_GAME).plays)
    ]
    looks = Looks(arguments.plays, arguments.min_plays, arguments.alpha)
    random = np.random.default_rng(arguments.seed)
    outcomes = []
    table = Table(title=f"limit {arguments.limit:.0%}, alpha {arguments.alpha:.1%}, looked at after every play")
    table.add_column("errors of candidate on stable", no_wrap=True)
    for column in ("worse by", *(f"{test}: {figure}" for test in TESTS for figure in FIGURES)):
        table.add_column(column, justify="right")
    for models, errors in track(list(_errors(plays, progress)), "rollouts", console=progress):
        for worse in WORSE:
            first = looks.first_failures(scaled(errors, worse), arguments.limit, arguments.runs, random)
            found = [_outcome(models, worse, test, first[test]) for test in TESTS]
            table.add_row(models, f"{worse:.0%}", *(text for outcome in found for text in _texts(outcome)))
            outcomes += found
        table.add_section()
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)
    print(json.dumps([asdict(outcome) for outcome in outcomes]))  # noqa: T201


def _errors(plays: list[Play], progress: Console) -> Iterator[tuple[str, Float]]:
    """Average displacement errors of candidate and stable arm on the same plays (n_plays, 2), yards, by their name."""
    models = {name: subjects.load(name) for name in sorted({name for pair in MODELS.values() for name in pair})}
    ghosts, actual = [], []
    for play in track(plays, "ghosts", console=progress):
        with suppress(DomainError):
            went, drawn = trajectories.actual(play), {name: model(play) for name, model in models.items()}
            actual.append(went)
            ghosts.append(drawn)
    for title, names in MODELS.items():
        judged = [
            judge.compare(went, [drawn[name] for name in names]) for went, drawn in zip(actual, ghosts, strict=True)
        ]
        yield title, np.array([[quality.ade for quality in pair] for pair in judged])
    random = np.random.default_rng(1)
    candidate = random.lognormal(sigma=0.7, size=100_000)
    yield DRAWN, np.stack([candidate, candidate * random.lognormal(size=len(candidate))], axis=1)


def scaled(errors: Float, worse: float) -> Float:
    """The errors (n_plays, 2) with the candidate's scaled to be larger than the stable arm's by that share."""
    candidate, stable = errors.mean(axis=0)
    factors: Float = np.array([(1 + worse) * stable / candidate, 1.0])
    return errors * factors


class Looks:
    """Looks after every play, from the first one on that counts."""

    def __init__(self, plays: int, min_plays: int, alpha: float) -> None:
        self._n = np.arange(1, plays + 1)
        self._min_plays = min_plays
        degrees = np.maximum(self._n - 1, 1)
        self._widths = {
            TESTS[0]: np.array([sequential.half_width(n, alpha) for n in self._n.tolist()]),
            TESTS[1]: stats.t.ppf(1 - alpha / 2, degrees) / np.sqrt(degrees),
        }

    def first_failures(self, errors: Float, limit: float, runs: int, random: np.random.Generator) -> dict[str, Float]:
        """Number of plays at the first FAIL of each rollout (n_runs,), infinite where there is none, by test.

        Args:
            errors: (n, 2) average displacement errors of candidate and stable arm that plays are drawn from.
            limit: of the guardrail.
            runs: number of rollouts.
            random: draws the plays.
        """
        excess = errors[:, 0] - (1 + limit) * errors[:, 1]
        found: dict[str, list[Float]] = {test: [] for test in self._widths}
        for start in range(0, runs, RUNS_AT_ONCE):
            drawn = excess[random.integers(len(excess), size=(min(RUNS_AT_ONCE, runs - start), len(self._n)))]
            mean = drawn.cumsum(axis=1) / self._n
            deviation = np.sqrt(np.maximum(np.square(drawn).cumsum(axis=1) / self._n - mean**2, 0))
            for test, widths in self._widths.items():
                failed = (mean > widths * deviation) & (self._n >= self._min_plays)
                found[test].append(np.where(failed.any(axis=1), failed.argmax(axis=1) + 1, np.inf))
        return {test: np.concatenate(each) for test, each in found.items()}


def _outcome(models: str, worse: float, test: str, first: Float) -> Outcome:
    median, ninety = (
        float(value) if np.isfinite(value) else None for value in np.quantile(first, (0.5, 0.9), method="higher")
    )
    return Outcome(models, worse, test, float(np.isfinite(first).mean()), median, ninety)


def _texts(outcome: Outcome) -> list[str]:
    plays = ("-" if plays is None else f"{plays:,.0f}" for plays in (outcome.median_plays, outcome.plays_90))
    return [f"{outcome.rolled_back:.1%}", *plays]


if __name__ == "__main__":
    main()
