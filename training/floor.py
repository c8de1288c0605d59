"""What no prediction made at the throw can know: the simulator's own noise."""

import numpy as np
from numpy.typing import NDArray

from services.features.scene import SIDE
from simulator.game import SimulatedGame
from training.scenes import of_plays

DRAWS = 8


def noise_floor(games: list[SimulatedGame], setting: str = "live") -> dict[str, float]:
    """Errors, yards, of knowing everything at the release but how each defender will react.

    Every pass is played out several times with the defenders' reactions drawn anew; the best
    prediction is the mean of all draws, and here of the other draws. `rmse` is corrected for the
    mean of few; `ade` is not, and is a little too high.
    """
    squares: list[NDArray[np.float64]] = []
    for number, game in enumerate(games):
        draws = [of_plays(each.plays, setting, number) for each in (game, *(game.redraw(i) for i in range(1, DRAWS)))]
        for drawn in zip(*draws, strict=True):
            went = np.concatenate([scene.displacement for scene in drawn])
            counts = np.concatenate([scene.counts for scene in drawn]).all(axis=0)
            others = (went.sum(axis=0) - went) / (DRAWS - 1)
            squares.append(((went - others) ** 2).sum(axis=-1)[:, counts.reshape(SIDE, -1)].ravel())
    squared = np.concatenate(squares)
    return {"rmse": float(np.sqrt(squared.mean() * (DRAWS - 1) / DRAWS)), "ade": float(np.sqrt(squared).mean())}
