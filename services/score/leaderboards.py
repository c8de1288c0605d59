"""Leaderboards: players, teams and positions ranked by a statistic, and how sure a mean is."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from services.score.statistics import Kind

SCALE = 10_000
"""Values are summed in whole parts of so many, so that sums are exact in any order."""
_CONFIDENCE = 0.95


class By(StrEnum):
    """What is ranked."""

    PLAYER = "player"
    TEAM = "team"
    POSITION = "position"


class Order(StrEnum):
    """What leaders are ranked by."""

    SHRUNK_MEAN = "shrunk_mean"
    MEAN = "mean"
    TOTAL = "total"
    ATTEMPTS = "attempts"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which statistics count.

    Attributes:
        kind: their kind.
        by: what they are of.
        season: of this season; of all where it is 0.
        first_week: of no week before; 0 where there is no first.
        last_week: of no week after; 0 where there is no last.
        team_ids: of players of these teams; of all where it is empty.
        positions: of players of these positions; of all where it is empty.
    """

    kind: Kind
    by: By = By.PLAYER
    season: int = 0
    first_week: int = 0
    last_week: int = 0
    team_ids: tuple[str, ...] = ()
    positions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sums:
    """What a player's, team's or position's values add up to, exactly.

    Attributes:
        id: the player's id, the team or the position.
        display_name: the player's name; otherwise as `id`.
        team_id: the player's latest team; the team itself; empty for a position.
        position: the player's latest position; empty for a team; the position itself.
        attempts: how many values there are.
        total: their sum, in parts of `SCALE`.
        squares: the sum of their squares, in parts of `SCALE` squared.
    """

    id: str
    display_name: str = ""
    team_id: str = ""
    position: str = ""
    attempts: int = 0
    total: int = 0
    squares: int = 0


@dataclass(frozen=True, slots=True)
class Leader:
    """A player, team or position on a leaderboard.

    Attributes:
        rank: by the order asked for, counted from 1; equal ones share it.
        sums: what its values add up to.
        total: sum of the values, in the kind's unit.
        mean: mean of the values.
        interval: 95% confidence interval of the mean, by Student's t; None for a single attempt.
        shrunk_mean: the mean drawn toward that of all.
    """

    rank: int
    sums: Sums
    total: float
    mean: float
    interval: tuple[float, float] | None
    shrunk_mean: float


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """Who leads, the first first, and the mean of all values, also of those who are not listed."""

    leaders: Sequence[Leader]
    mean: float


def rank(
    found: Sequence[Sums], min_attempts: int = 1, order: Order = Order.SHRUNK_MEAN, ascending: bool = False
) -> Leaderboard:
    """Rank those who have enough attempts; equal ones come by their means, and by their ids.

    The same sums give the same numbers, in whatever order they come.

    Args:
        found: of everybody; also those who have too few attempts tell what is usual.
        min_attempts: the fewest to be listed.
        order: what to rank by.
        ascending: whether the least comes first.
    """
    if not found:
        return Leaderboard((), 0.0)
    found = sorted(found, key=lambda each: each.id)
    attempts = np.array([each.attempts for each in found], np.float64)
    totals = np.array([each.total / SCALE for each in found])
    means = np.array([each.total / (each.attempts * SCALE) for each in found])
    spreads = np.array([_sum_of_squares(each) for each in found])
    mean = sum(each.total for each in found) / (sum(each.attempts for each in found) * SCALE)
    columns = {
        Order.SHRUNK_MEAN: shrink(attempts, means, spreads, mean),
        Order.MEAN: means,
        Order.TOTAL: totals,
        Order.ATTEMPTS: attempts,
    }
    half = _half_widths(attempts, spreads)
    listed = np.flatnonzero(attempts >= min_attempts)
    keys, plain = (each[listed] if ascending else -each[listed] for each in (columns[order], means))
    leaders = [
        Leader(
            rank=1 + int((keys < keys[i]).sum()),
            sums=found[row],
            total=float(totals[row]),
            mean=float(means[row]),
            interval=(float(means[row] - half[row]), float(means[row] + half[row])) if attempts[row] > 1 else None,
            shrunk_mean=float(columns[Order.SHRUNK_MEAN][row]),
        )
        for i in np.lexsort((plain, keys))
        for row in (listed[i],)
    ]
    return Leaderboard(leaders, mean)


def shrink(
    attempts: NDArray[np.float64], means: NDArray[np.float64], spreads: NDArray[np.float64], mean: float
) -> NDArray[np.float64]:
    """Means drawn toward that of all, the more the fewer attempts there are: empirical Bayes, normal about normal.

    A true mean is taken to be normal about that of all, and values normal about it with one variance. Both variances
    are estimated by the method of moments, from the sums of squares between and within (one-way analysis of variance
    with unequal numbers: Searle, Casella and McCulloch, "Variance Components", 1992, section 3.6; as in Efron and
    Morris, "Data Analysis Using Stein's Estimator", 1975).

    Args:
        attempts: (n,) numbers of values, each at least 1.
        means: (n,) their means.
        spreads: (n,) sums of their squared distances from their mean.
        mean: of all values.

    Returns:
        (n,) drawn means; that of all for everybody where nothing tells that they differ.
    """
    count, freedom = attempts.sum(), attempts.sum() - len(attempts)
    if freedom == 0 or len(attempts) == 1:
        return np.full_like(means, mean)
    within = spreads.sum() / freedom
    between = (attempts * (means - mean) ** 2).sum() - (len(attempts) - 1) * within
    between = max(0.0, between / (count - (attempts**2).sum() / count))
    if between == 0:
        return np.full_like(means, mean)
    drawn: NDArray[np.float64] = mean + between / (between + within / attempts) * (means - mean)
    return drawn


def _sum_of_squares(of: Sums) -> float:
    """Sum of the squared distances from the mean; exact until the division."""
    return (of.attempts * of.squares - of.total**2) / (of.attempts * SCALE**2)


def _half_widths(attempts: NDArray[np.float64], spreads: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half of the widths of the means' confidence intervals; without meaning for a single attempt."""
    from scipy.special import stdtrit

    freedom = np.maximum(attempts - 1, 1)
    return np.asarray(stdtrit(freedom, (1 + _CONFIDENCE) / 2) * np.sqrt(spreads / freedom / attempts), np.float64)
