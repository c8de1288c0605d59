"""Whether real movement lies as close to simulated movement as so few passes can tell."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.figures.passes import QUANTITIES, Measured

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One quantity, real against simulated.

    Attributes:
        quantity: one of `QUANTITIES`.
        n_real: passes with a sample of it.
        real: (3,) first quartile, median and third quartile.
        simulated: (3,) likewise.
        wasserstein: distance between the distributions, in the unit of the quantity.
        noise: what that distance is in the median for as many simulated passes.
        p_wasserstein: share of equally many simulated passes that lie farther from all simulated ones.
        p_kolmogorov: likewise by the largest difference of the distribution functions.
    """

    quantity: str
    n_real: int
    real: Floats
    simulated: Floats
    wasserstein: float
    noise: float
    p_wasserstein: float
    p_kolmogorov: float


def compare(real: Sequence[Measured], simulated: Sequence[Measured], seed: int, draws: int = 999) -> list[Comparison]:
    """Every quantity, tested by whole passes.

    Samples of one pass depend on each other, so a pass is what is drawn: the distance between the
    real passes and all simulated ones is held against the distances that as many simulated passes,
    drawn at random, have.

    Args:
        real: passes.
        simulated: many more passes.
        seed: of the draws.
        draws: number of them.
    """
    return [
        _compare(name, real, simulated, np.random.default_rng([seed, i]), draws) for i, name in enumerate(QUANTITIES)
    ]


def _compare(
    name: str, real: Sequence[Measured], simulated: Sequence[Measured], rng: np.random.Generator, draws: int
) -> Comparison:
    own = [m.samples[name] for m in real if len(m.samples[name])]
    theirs = [m.samples[name] for m in simulated if len(m.samples[name])]
    pooled, population = np.sort(np.concatenate(own)), np.sort(np.concatenate(theirs))
    distances = np.array(_distances(pooled, population))
    chance = np.array(
        [
            _distances(np.sort(np.concatenate([theirs[i] for i in rng.choice(len(theirs), len(own))])), population)
            for _ in range(draws)
        ]
    )
    p = (1 + (chance >= distances).sum(0)) / (1 + draws)
    quartiles = (0.25, 0.5, 0.75)
    return Comparison(
        name,
        len(own),
        np.quantile(pooled, quartiles),
        np.quantile(population, quartiles),
        float(distances[0]),
        float(np.median(chance[:, 0])),
        float(p[0]),
        float(p[1]),
    )


def _distances(few: Floats, many: Floats) -> tuple[float, float]:
    """Wasserstein-1 (over 200 quantiles) and Kolmogorov-Smirnov distance of two sorted samples."""
    shares = (np.arange(200) + 0.5) / 200
    apart = few[(shares * len(few)).astype(np.intp)] - many[(shares * len(many)).astype(np.intp)]
    below = np.searchsorted(many, few, side="right") / len(many)
    steps = np.arange(1, len(few) + 1) / len(few)
    return float(np.abs(apart).mean()), float(max((steps - below).max(), (below - steps + 1 / len(few)).max()))
