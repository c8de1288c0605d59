"""From what a model gives to where defenders go."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

OUTPUT = "displacement"
"""The tensor with which a model of the task `ghosting` answers: yards from each defender's anchor."""
COVARIANCE = "covariance"
"""The tensor that tells how sure it is, where a model has it: (…, n_steps, 3) xx, xy and yy, square yards."""

_LONGEST_STEP = 1.247
"""Yards in 0.1 s: more than the fastest player runs."""


def of_pairs(output: NDArray[np.float32], row: NDArray[np.intp], slot: NDArray[np.intp]) -> NDArray[np.float32]:
    """What a model says of pairs of target and defender: (n_pairs, n_steps, n).

    Args:
        output: (n_rows, n_steps, n), or (n_rows, n_slots, n_steps, n) where a row holds several defenders.
        row: (n_pairs,) the row of each pair.
        slot: (n_pairs,) the defender's slot in it.
    """
    return output[row, slot] if output.ndim == 4 else output[row]


def paths(
    displacement: NDArray[np.float32], anchor: NDArray[np.float64], direction: int, air_steps: NDArray[np.int64]
) -> list[NDArray[np.float64]]:
    """Paths of the ghosts in the play's own coordinates, yards: for each pair (air_steps + 1, 2).

    Args:
        displacement: (n_pairs, n_steps, 2) yards from the anchor, turned so that the offense moves toward +x.
        anchor: (n_pairs, 2) yards, where each defender was at pass forward: the first point of his path.
        direction: +1 or -1, the way the offense moves along x.
        air_steps: (n_pairs,) steps from pass forward to arrival.
    """
    places = anchor[:, None] + direction * _from_start(displacement)
    return [place[: steps + 1] for place, steps in zip(places, air_steps, strict=True)]


def covariances(covariance: NDArray[np.float32], air_steps: NDArray[np.int64]) -> list[NDArray[np.float32]]:
    """How sure the points of the paths are, square yards: for each pair (air_steps + 1, 3), 0 at the first point.

    They are the same whichever way the offense moves.
    """
    return [each[: steps + 1] for each, steps in zip(_from_start(covariance), air_steps, strict=True)]


def superhuman(paths: Iterable[NDArray[np.float64]]) -> bool:
    """Whether a path has a step that no human makes.

    Args:
        paths: (n_steps + 1, 2) yards each, 0.1 s apart.
    """
    return any((np.linalg.norm(np.diff(path, axis=0), axis=1) > _LONGEST_STEP).any() for path in paths)


def _from_start(steps: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n_pairs, n_steps + 1, n) with zeros for the moment of the pass before the steps."""
    return np.pad(steps, ((0, 0), (1, 0), (0, 0)))
