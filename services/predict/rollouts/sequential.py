"""Intervals that stay valid however often they are looked at.

A confidence sequence is an interval for every number of observations that, with probability 1 - alpha, holds the true
value at all of them at once. So whoever looks after every play and acts on the first look that pleases him errs no more
often than alpha.

Sources:
- Shares and quantiles: the two-sided beta-binomial mixture, Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform,
  nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49 (2021), arXiv 1810.08240; for a quantile,
  Howard, Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm identification",
  Bernoulli 28 (2022), arXiv 1906.09712. Valid at any number of observations.
- Means: the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit
  theory and asymptotic confidence sequences", Annals of Statistics 52 (2024), arXiv 2103.06476. Valid as the first look
  moves back.
"""

import math
import sys
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, xlog1py, xlogy

from services.predict.rollouts.tally import Pairs

TIGHTEST_AT = 500
"""Number of observations at which the interval of a mean is nearly as narrow as a sequence can be."""
_PRIOR = 0.5


class Interval(NamedTuple):
    """A best guess, and the bounds of what the evidence allows; infinite where it sets none."""

    estimate: float
    lower: float
    upper: float


def share(successes: int, n: int, alpha: float) -> Interval:
    """The chance of a success, of which there were some among n independent trials."""
    if not n:
        return Interval(math.nan, 0.0, 1.0)
    return Interval(successes / n, _least_chance(successes, n, alpha), 1 - _least_chance(n - successes, n, alpha))


def _least_chance(successes: int, n: int, alpha: float) -> float:
    """Least chance of a success that the evidence does not refute."""
    from scipy.optimize import brentq

    if not successes:
        return 0.0

    def beyond(chance: float) -> float:
        return float(_evidence_against(chance, successes, n)) + math.log(alpha)

    return float(brentq(beyond, sys.float_info.min, successes / n))


def quantile(level: float, counts: Mapping[float, int], alpha: float) -> Interval:
    """A quantile of a distribution.

    Args:
        level: which quantile, between 0 and 1.
        counts: number of observations by the upper edge of their bucket.
        alpha: chance that the interval misses it at any time.
    """
    if not counts:
        return Interval(math.nan, 0.0, math.inf)
    edges = sorted(counts)
    reached = np.cumsum([counts[edge] for edge in edges])
    n = int(reached[-1])
    refuted = _evidence_against(level, reached, n) >= -math.log(alpha)
    beyond, within = refuted & (reached < level * n), refuted & (reached > level * n)
    return Interval(
        edges[int(np.searchsorted(reached, level * n))],
        edges[int(beyond.sum()) - 1] if beyond.any() else 0.0,
        edges[int(within.argmax())] if within.any() else math.inf,
    )


def _evidence_against(chance: float, successes: int | NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Logarithm of how many times likelier the successes are under the mixture than under the chance."""
    mixture = betaln(successes + _PRIOR, n - successes + _PRIOR) - betaln(_PRIOR, _PRIOR)
    return np.asarray(mixture - xlogy(successes, chance) - xlog1py(n - successes, -chance))


def half_width(n: float, alpha: float) -> float:
    """Half the width of the interval of a mean of n observations, in their standard deviations."""
    rate = (math.log(1 - 2 * math.log(alpha)) - 2 * math.log(alpha)) / TIGHTEST_AT
    scaled = n * rate + 1
    return math.sqrt(2 * scaled / (n**2 * rate) * math.log(math.sqrt(scaled) / alpha))


def difference(pairs: Pairs, alpha: float) -> Interval:
    """The candidate's mean less the stable arm's."""
    if not pairs.n:
        return Interval(math.nan, -math.inf, math.inf)
    estimate = (pairs.candidate - pairs.stable) / pairs.n
    candidate, both, stable = _variances(pairs)
    width = half_width(pairs.n, alpha) * math.sqrt(max(0.0, candidate - 2 * both + stable))
    return Interval(estimate, estimate - width, estimate + width)


def excess(pairs: Pairs, alpha: float) -> Interval:
    """By what share of the stable arm's mean the candidate's is larger; quantities are positive.

    An excess e is within the interval where that of the mean of candidate - (1 + e) stable holds 0 (Fieller's method).
    """
    if not pairs.stable:
        return Interval(math.nan, -math.inf, math.inf)
    candidate, both, stable = _variances(pairs)
    width = half_width(pairs.n, alpha) ** 2
    mean_candidate, mean_stable = pairs.candidate / pairs.n, pairs.stable / pairs.n
    estimate = mean_candidate / mean_stable
    square = mean_stable**2 - width * stable
    if square <= 0:
        return Interval(estimate - 1, -math.inf, math.inf)
    middle = mean_candidate * mean_stable - width * both
    root = math.sqrt(max(0.0, middle**2 - square * (mean_candidate**2 - width * candidate)))
    return Interval(estimate - 1, (middle - root) / square - 1, (middle + root) / square - 1)


def _variances(pairs: Pairs) -> tuple[float, float, float]:
    """Variance of the candidate's values, covariance, variance of the stable arm's."""
    mean_candidate, mean_stable = pairs.candidate / pairs.n, pairs.stable / pairs.n
    return (
        max(0.0, pairs.candidate_squared / pairs.n - mean_candidate**2),
        pairs.product / pairs.n - mean_candidate * mean_stable,
        max(0.0, pairs.stable_squared / pairs.n - mean_stable**2),
    )
