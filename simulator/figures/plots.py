"""Pictures of real and simulated movement; aggregates only."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simulator.figures.passes import QUANTITIES, STEPS, Measured
from simulator.values import Floats, Ints

_DRAWS = 200  # of as many simulated passes as there are real ones, for the bands
_REAL, _SIMULATED = "tab:red", "tab:blue"
_ERRORS = [name for name in QUANTITIES if name.startswith("error")]
_OTHERS = [name for name in QUANTITIES if name not in _ERRORS]


def write(out: Path, real: Sequence[Measured], simulated: Sequence[Measured], seed: int) -> list[Path]:
    """Write the pictures and tell where they are.

    Args:
        out: folder, there already.
        real: passes; none leaves the simulated ones alone.
        simulated: passes.
        seed: of the draws for the bands.
    """
    rng = np.random.default_rng(seed)
    n = len(real) or min(len(simulated), 33)
    draws = [[simulated[i] for i in rng.choice(len(simulated), n, replace=False)] for _ in range(_DRAWS)]
    rows = -(-len(_OTHERS) // 4)
    movement = Figure(figsize=(15, 3.1 * rows), layout="constrained")
    for name, axes in zip(_OTHERS, movement.subplots(rows, 4).flat, strict=False):
        _distribution(axes, name, real, simulated, draws)
    beyond = Figure(figsize=(11, 4), layout="constrained")
    left, right = beyond.subplots(1, 2)
    _over_steps(left, np.arange(1, STEPS + 1), _error, real, simulated, draws)
    left.set(xlabel="0.1 s steps after the throw", ylabel="mean error of constant velocity, backs (yd)")
    _over_steps(right, np.arange(-STEPS // 2, STEPS + 1), _toward, real, simulated, draws)
    right.set(xlabel="0.1 s steps after the throw", ylabel="mean speed toward the catch point, backs (yd/s)")
    paths = [out / "movement.png", out / "reaction.png"]
    for picture, path in zip((movement, beyond), paths, strict=True):
        picture.axes[0].legend()
        picture.savefig(path, dpi=80)
    return paths


def _distribution(
    axes: Axes, name: str, real: Sequence[Measured], simulated: Sequence[Measured], draws: Sequence[Sequence[Measured]]
) -> None:
    """Distribution functions, with the band in which 95% of as many simulated passes lie."""
    population = _pooled(simulated, name)
    low, high = np.quantile(population, (0.002, 0.998))
    grid = np.linspace(low, high, 120)

    def below(values: Floats) -> Floats:
        return np.asarray(np.searchsorted(np.sort(values), grid, side="right") / len(values))

    band = np.quantile([below(_pooled(draw, name)) for draw in draws], (0.025, 0.975), axis=0)
    axes.fill_between(grid, *band, color=_SIMULATED, alpha=0.25, lw=0)
    axes.plot(grid, below(population), color=_SIMULATED, label="simulated, with 95% of as few passes")
    if real:
        axes.plot(grid, below(_pooled(real, name)), color=_REAL, label="real")
    axes.set(title=name, xlabel=QUANTITIES[name], ylim=(0, 1))


def _over_steps(
    axes: Axes,
    steps: Ints,
    mean: Callable[[Sequence[Measured]], Floats],
    real: Sequence[Measured],
    simulated: Sequence[Measured],
    draws: Sequence[Sequence[Measured]],
) -> None:
    """A mean at each step, with the band in which 95% of as many simulated passes lie."""
    band = np.quantile([mean(draw) for draw in draws], (0.025, 0.975), axis=0)
    axes.fill_between(steps, *band, color=_SIMULATED, alpha=0.25, lw=0)
    axes.plot(steps, mean(simulated), color=_SIMULATED, label="simulated, with 95% of as few passes")
    if real:
        axes.plot(steps, mean(real), color=_REAL, label="real")


def _error(passes: Sequence[Measured]) -> Floats:
    return np.array([_pooled(passes, name).mean() for name in _ERRORS])


def _toward(passes: Sequence[Measured]) -> Floats:
    return np.asarray(np.nanmean(np.concatenate([m.toward for m in passes]), axis=0))


def _pooled(passes: Sequence[Measured], name: str) -> Floats:
    return np.concatenate([m.samples[name] for m in passes])
