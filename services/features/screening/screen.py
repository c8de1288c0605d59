"""Screening: from all candidates to the smallest set that predicts nearly as well."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from services.common.errors import FailedPrecondition
from services.features.screening import leaks, ranking
from services.features.screening.boosting import Floats, Rows, Workers, rmse, split_by_game
from services.features.screening.candidates import Candidate
from services.features.screening.table import Table

TOLERANCE = 0.01
"""How much larger the error of the kept set may be than that of all candidates."""
TWINS = 0.99
"""Magnitude of Spearman's correlation above which two candidates are twins."""
FOLDS = 5
SEARCH_SPLITS = 2
"""The search looks at other splits into folds than the ranking, at their mean, to be led less by chance."""
MIN_ROWS = 200
"""Rows without which a screening says nothing."""


class Verdict(StrEnum):
    """What becomes of a candidate."""

    KEPT = "kept"
    NOT_NEEDED = "not needed"
    TWIN = "twin"
    NOISE = "noise"
    LEAK = "leak"
    ABSENT = "absent"


class Stage(StrEnum):
    """What a screening is at."""

    ROWS = "rows"
    LEAKS = "leaks"
    RANKING = "ranking"
    SEARCH = "search"


Report = Callable[[Stage, int, int], None]
"""Called with the stage, and how much of it is done and to do."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A candidate and what was found.

    Attributes:
        candidate: the candidate.
        verdict: what becomes of it.
        reason: why, in plain words.
        rank: mean of its ranks by gain, permutation and SHAP; NaN where it was not ranked, as are the next.
        gain: share of the squared error taken away in training.
        permutation: mean squared error added when its values are shuffled, yd^2.
        shap: mean magnitude of what it adds to an answer, yards.
        mean: over the rows, in its unit.
        scale: standard deviation over the rows, in its unit.
    """

    candidate: Candidate
    verdict: Verdict
    reason: str
    rank: float
    gain: float
    permutation: float
    shap: float
    mean: float
    scale: float


@dataclass(frozen=True, slots=True)
class Screening:
    """What came out.

    Attributes:
        judged: every candidate, the best ranked first, those that were not ranked last.
        full_rmse: error of all ranked candidates on games not seen, yards.
        kept_rmse: error of those kept.
        tried: sets tried, as number of candidates and error, in order.
        games: names of the games.
        n_rows: rows.
    """

    judged: tuple[Judged, ...]
    full_rmse: float
    kept_rmse: float
    tried: tuple[tuple[int, float], ...]
    games: tuple[str, ...]
    n_rows: int

    @property
    def kept(self) -> tuple[Judged, ...]:
        """The candidates kept, the best ranked first."""
        return tuple(judged for judged in self.judged if judged.verdict is Verdict.KEPT)


def screen(table: Table, candidates: Sequence[Candidate], workers: Workers, report: Report) -> Screening:
    """Screen the columns of a table.

    Raises:
        FailedPrecondition: there are too few rows or games to learn from.
        Stopped: the workers were stopped.
    """
    games = np.unique(table.game)
    if len(table) < MIN_ROWS or len(games) < 2:
        raise FailedPrecondition(
            "ROWS_TOO_FEW",
            f"{len(table)} rows of {len(games)} games to learn from, there must be {MIN_ROWS} of 2: defensive backs of "
            "passes that are in the air for a second or more",
            ", ".join(games.tolist()),
        )
    folds = split_by_game(table.game, FOLDS, workers.seed)
    verdicts: dict[int, tuple[Verdict, str]] = {}
    varied = _varied(table, verdicts)
    honest = _honest(table, varied, folds, workers, report, verdicts)
    ranked = ranking.rank(table, honest, folds, workers, lambda *done: report(Stage.RANKING, *done))
    wanted = _wanted(table, candidates, honest, ranked, verdicts)
    if not len(wanted):
        raise FailedPrecondition(
            "ROWS_TOO_FEW", f"in {len(table)} rows no candidate predicts anything beyond chance", "rows"
        )
    splits = [split_by_game(table.game, FOLDS, workers.seed + 1 + i) for i in range(SEARCH_SPLITS)]
    search = _Search(table, splits, workers, lambda *done: report(Stage.SEARCH, *done))
    full_rmse = search.error(honest.tolist())
    kept = search.smallest(wanted.tolist(), full_rmse * (1 + TOLERANCE))
    verdicts |= dict.fromkeys(wanted.tolist(), (Verdict.NOT_NEEDED, "the rest does nearly as well without it"))
    verdicts |= dict.fromkeys(kept, (Verdict.KEPT, ""))
    return Screening(
        judged=_judged(table, candidates, honest, ranked, verdicts),
        full_rmse=full_rmse,
        kept_rmse=search.error(kept),
        tried=tuple(search.tried),
        games=tuple(games.tolist()),
        n_rows=len(table),
    )


def _varied(table: Table, verdicts: dict[int, tuple[Verdict, str]]) -> NDArray[np.intp]:
    """The columns that have values, more than one."""
    told = np.isfinite(table.values)
    low = np.where(told, table.values, np.inf).min(axis=0)
    high = np.where(told, table.values, -np.inf).max(axis=0)
    for column in np.flatnonzero(low >= high).tolist():
        same = low[column] == high[column]
        verdicts[column] = (Verdict.ABSENT, "it is the same in every row" if same else "no play has it")
    return np.flatnonzero(low < high)


def _honest(
    table: Table,
    varied: NDArray[np.intp],
    folds: Sequence[Rows],
    workers: Workers,
    report: Report,
    verdicts: dict[int, tuple[Verdict, str]],
) -> NDArray[np.intp]:
    """The columns that do not know the future."""
    evidence = table.evidence
    for column in varied[evidence.knows_future[varied]].tolist():
        verdicts[column] = (Verdict.LEAK, "it changes with what comes after the instant it is known at")
    trusted = varied[~evidence.knows_future[varied] & evidence.of_tracks[varied]]
    suspects = varied[~evidence.knows_future[varied] & ~evidence.of_tracks[varied]]
    if not len(trusted) or not len(suspects):
        return np.union1d(trusted, suspects)
    excess = leaks.excess(table, trusted, suspects, folds, workers, lambda *done: report(Stage.LEAKS, *done))
    for column, share in zip(suspects[excess.leaks].tolist(), excess.partial_r2[excess.leaks], strict=True):
        verdicts[column] = (Verdict.LEAK, f"it explains {share:.0%} of what all the tracks tell leaves open")
    return np.union1d(trusted, suspects[~excess.leaks])


def _wanted(
    table: Table,
    candidates: Sequence[Candidate],
    honest: NDArray[np.intp],
    ranked: ranking.Ranking,
    verdicts: dict[int, tuple[Verdict, str]],
) -> NDArray[np.intp]:
    """The columns that are neither noise nor twins, the best first."""
    for column in honest[~ranked.carries].tolist():
        verdicts[column] = (Verdict.NOISE, "shuffling it adds no error beyond chance")
    order = np.argsort(ranked.rank, kind="stable")
    order = order[ranked.carries[order]]
    twins = ranking.twins(table.values[:, honest], order, TWINS)
    for column, better in twins.items():
        verdicts[int(honest[column])] = (Verdict.TWIN, f"of {candidates[honest[better]].name}")
    return honest[[column for column in order.tolist() if column not in twins]]


class _Search:
    """Errors of sets of columns on games not seen, each computed once."""

    def __init__(
        self, table: Table, splits: Sequence[Sequence[Rows]], workers: Workers, report: Callable[[int, int], None]
    ) -> None:
        self._table, self._splits, self._workers, self._report = table, splits, workers, report
        self._errors: dict[tuple[int, ...], float] = {}
        self._to_do = 0
        self.tried: list[tuple[int, float]] = []

    def error(self, columns: Sequence[int]) -> float:
        """Root mean squared distance, yards."""
        key = tuple(sorted(columns))
        if key not in self._errors:
            displacement = self._table.displacement
            values = self._table.values[:, np.array(key, np.intp)]
            errors = [rmse(displacement, self._workers.out_of_fold(values, displacement, f)) for f in self._splits]
            self._errors[key] = float(np.sqrt(np.mean(np.square(errors))))
            self.tried.append((len(key), self._errors[key]))
            self._report(len(self.tried), max(self._to_do, len(self.tried)))
        return self._errors[key]

    def smallest(self, order: list[int], bound: float) -> list[int]:
        """The shortest beginning of a ranking whose error is within a bound, less what it can do without.

        Lengths are doubled, then halved in between; then each column is left out, the worst ranked
        first, if the rest stays within the bound. All of them, when none is within.
        """
        low, high = 0, 1
        self._to_do = 2 * int(np.ceil(np.log2(max(len(order), 1)))) + 1
        while high < len(order) and self.error(order[:high]) > bound:
            low, high = high, high * 2
        high = min(high, len(order))
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.error(order[:middle]) <= bound else (middle, high)
        kept = order[:high]
        self._to_do = len(self.tried) + len(kept)
        for column in reversed(kept[1:]):
            rest = [other for other in kept if other != column]
            if self.error(rest) <= bound:
                kept = rest
        return kept


def _judged(
    table: Table,
    candidates: Sequence[Candidate],
    honest: NDArray[np.intp],
    ranked: ranking.Ranking,
    verdicts: dict[int, tuple[Verdict, str]],
) -> tuple[Judged, ...]:
    """Every candidate, by rank."""
    found = np.full((4, len(candidates)), np.nan)
    found[:, honest] = ranked.rank, ranked.gain, ranked.permutation, ranked.shap
    mean, scale = _normalisation(table)
    judged = [
        Judged(candidate, *verdicts[i], *map(float, (*found[:, i], mean[i], scale[i])))
        for i, candidate in enumerate(candidates)
    ]
    return tuple(judged[i] for i in np.argsort(found[0], kind="stable"))


def _normalisation(table: Table) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each column over the rows that tell; NaN where none does."""
    values = np.ma.masked_invalid(table.values.astype(np.float64))
    return values.mean(axis=0).filled(np.nan), values.std(axis=0).filled(np.nan)
