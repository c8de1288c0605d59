"""Whether real movement lies as close to simulated movement as so few passes can tell."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulator.figures.passes import QUANTITIES, Measured
from simulator.values import Floats

_SHARES = (np.arange(200) + 0.5) / 200


@dataclass(frozen=True, slots=True)
class Compared:
    """One quantity, real against simulated.

    Attributes:
        quantity: one of `QUANTITIES`.
        n_real: samples of it in the real passes.
        real: (3,) first quartile, median and third quartile.
        simulated: (3,) likewise.
        wasserstein: distance between the distributions, in the unit of the quantity.
        noise: what that distance is in the median for as many simulated passes.
        p_wasserstein: share of draws of as many simulated passes that lie farther from all simulated ones.
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


@dataclass(frozen=True, slots=True)
class Comparison:
    """All quantities.

    Attributes:
        quantities: each by itself.
        excess: mean over the quantities of their Wasserstein distance, in medians of sampling noise.
        p: share of draws of as many simulated passes whose excess is larger.
    """

    quantities: tuple[Compared, ...]
    excess: float
    p: float


def compare(real: Sequence[Measured], simulated: Sequence[Measured], seed: int, draws: int = 499) -> Comparison:
    """Every quantity, and all together, tested by whole passes.

    Samples of one pass depend on each other, so a pass is what is drawn: the distance between the
    real passes and all simulated ones is held against the distances that as many simulated passes,
    drawn at random, have. The same draws serve all quantities, so that they can be tested together.

    Args:
        real: passes.
        simulated: many more passes.
        seed: of the draws.
        draws: number of them.
    """
    rng = np.random.default_rng(seed)
    drawn = [rng.choice(len(simulated), len(real), replace=False) for _ in range(draws)]
    compared, excesses = [], np.zeros(1 + draws)
    for name in QUANTITIES:
        population = np.sort(np.concatenate([m.samples[name] for m in simulated]))
        own = np.sort(np.concatenate([m.samples[name] for m in real]))
        parts = [np.sort(np.concatenate([simulated[i].samples[name] for i in rows])) for rows in drawn]
        distances = np.array([_distances(few, population) for few in (own, *parts) if len(few)])
        noise = np.median(distances[1:, 0])
        p = (distances >= distances[0]).mean(axis=0)
        excesses[: len(distances)] += distances[:, 0] / noise / len(QUANTITIES)
        compared.append(
            Compared(
                quantity=name,
                n_real=len(own),
                real=np.quantile(own, (0.25, 0.5, 0.75)),
                simulated=np.quantile(population, (0.25, 0.5, 0.75)),
                wasserstein=float(distances[0, 0]),
                noise=float(noise),
                p_wasserstein=float(p[0]),
                p_kolmogorov=float(p[1]),
            )
        )
    return Comparison(tuple(compared), float(excesses[0]), float((excesses >= excesses[0]).mean()))


def _distances(few: Floats, many: Floats) -> tuple[float, float]:
    """Wasserstein-1 (over 200 quantiles) and Kolmogorov-Smirnov distance of two sorted samples."""
    apart = few[(_SHARES * len(few)).astype(np.intp)] - many[(_SHARES * len(many)).astype(np.intp)]
    below = np.searchsorted(many, few, side="right") / len(many)
    steps = np.arange(1, len(few) + 1) / len(few)
    return float(np.abs(apart).mean()), float(max((steps - below).max(), (below - steps + 1 / len(few)).max()))
