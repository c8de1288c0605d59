"""From what a model gives to where defenders go."""

import numpy as np
from numpy.typing import NDArray

OUTPUT = "displacement"
"""The tensor with which a model of the task `ghosting` answers."""


def paths(
    displacement: NDArray[np.float32], anchor: NDArray[np.float64], direction: int, air_steps: NDArray[np.int64]
) -> list[NDArray[np.float64]]:
    """Paths of the ghosts in the play's own coordinates, yards: for each row (air_steps + 1, 2).

    Args:
        displacement: (n_rows, n_steps, 2) yards from the anchor, turned so that the offense moves toward +x.
        anchor: (n_rows, 2) yards, where each defender was at pass forward: the first point of his path.
        direction: +1 or -1, the way the offense moves along x.
        air_steps: (n_rows,) steps from pass forward to arrival.
    """
    places = anchor[:, None] + direction * np.pad(displacement, ((0, 0), (1, 0), (0, 0)))
    return [place[: steps + 1] for place, steps in zip(places, air_steps, strict=True)]
