"""What no prediction made at the throw can know: the simulator's own noise."""

import numpy as np
from numpy.typing import NDArray

from services.features.scene import SIDE
from simulator.game import SimulatedGame
from training.scenes import of_plays, what_ifs

DRAWS = 8


def noise_floor(games: list[SimulatedGame], draws: int = DRAWS, of_what_ifs: bool = False) -> dict[str, float]:
    """Errors, yards, of knowing everything at the release but how each defender will react.

    Every pass is played out several times with the defenders' reactions drawn anew; the best
    prediction is the mean of all draws, and here of the other draws. Both errors are corrected for
    the mean of few; for `ade` the correction is exact where places are normally distributed.

    Args:
        games: simulated games.
        draws: how often each pass is played out.
        of_what_ifs: take the throws to every other receiver instead of those to the target.
    """
    squares: list[NDArray[np.float64]] = []
    for number, game in enumerate(games):
        played = [game, *(game.redraw(i) for i in range(1, draws))]
        scenes = [what_ifs(g, "live", number) if of_what_ifs else of_plays(g.plays, "live", number) for g in played]
        for drawn in zip(*scenes, strict=True):
            went = np.concatenate([scene.displacement for scene in drawn])
            counts = np.concatenate([scene.counts for scene in drawn]).all(axis=0)
            others = (went.sum(axis=0) - went) / (draws - 1)
            squares.append(((went - others) ** 2).sum(axis=-1)[:, counts.reshape(SIDE, -1)].ravel())
    squared = np.concatenate(squares) * (draws - 1) / draws
    return {"rmse": float(np.sqrt(squared.mean())), "ade": float(np.sqrt(squared).mean())}
