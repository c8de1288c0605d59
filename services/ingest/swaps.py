"""Finding where two players' tags were exchanged: each goes on where the other was."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ghostback.play import Samples


def swapped_with(
    rows: NDArray[np.intp], samples: Samples, players: NDArray[np.bool_], reach: float
) -> NDArray[np.intp]:
    """The tag that each sample is really of.

    Two tags are exchanged at a frame where both lie farther from where they were than a player
    moves, and each within reach of where the other was; they are exchanged back likewise.

    Args:
        rows: (n,) the samples' tags.
        samples: n rows, ordered by frame.
        players: (n,) which are of players; others are not exchanged.
        reach: yards that a player moves in a frame at most.

    Returns:
        (n,) tags, those of `rows` where nothing is exchanged.
    """
    really = rows.copy()
    last: dict[int, tuple[int, float, float]] = {}
    exchanged: dict[int, int] = {}
    for at in np.split(np.flatnonzero(players), np.flatnonzero(np.diff(samples.frame[players])) + 1):
        now = {int(rows[i]): (int(samples.frame[i]), float(samples.x[i]), float(samples.y[i])) for i in at.tolist()}
        jumped = [row for row, place in now.items() if row in last and not _within(last[row], place, reach)]
        for one, other in combinations(jumped, 2):
            if _within(last[one], now[other], reach) and _within(last[other], now[one], reach):
                first, second = exchanged.get(one, one), exchanged.get(other, other)
                exchanged[one], exchanged[other] = second, first
        for i in at.tolist():
            really[i] = exchanged.get(int(rows[i]), int(rows[i]))
        last |= now
    return really


def _within(last: tuple[int, float, float], place: tuple[int, float, float], reach: float) -> bool:
    frames = max(place[0] - last[0], 1)
    return (place[1] - last[1]) ** 2 + (place[2] - last[2]) ** 2 <= (reach * frames) ** 2
