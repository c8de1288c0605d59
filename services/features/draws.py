"""Ghosts drawn anew from how sure they are, and ghosts that take a defender's place alone."""

from collections.abc import Mapping

import numpy as np

from services.features.measurements import Ghosts
from services.features.moment import Points

_SEED = 14
"""Draws are the same in every call, so that answers are."""


def drawn(ghosts: Ghosts, covariances: Mapping[tuple[str, str], Points], n_draws: int) -> list[Ghosts]:
    """Ghosts in each of some draws.

    A defender strays from his mean by as many standard deviations at every step and whatever the target, as one does
    who is faster, or sooner, than the mean.

    Args:
        ghosts: the means.
        covariances: of those that have one, by target and defender: (n_steps + 1, 3) xx, xy and yy, square yards.
        n_draws: how many.
    """
    defenders = list(dict.fromkeys(defender for _, defender in ghosts))
    strays = dict(zip(defenders, np.random.default_rng(_SEED).normal(size=(len(defenders), n_draws, 2)), strict=True))
    paths = {
        key: path + np.einsum("nij,dj->dni", _roots(covariances[key]), strays[key[1]])
        if key in covariances
        else np.broadcast_to(path, (n_draws, *path.shape))
        for key, path in ghosts.items()
    }
    return [{key: each[draw] for key, each in paths.items()} for draw in range(n_draws)]


def one_by_one(ghosts: Ghosts) -> list[Ghosts]:
    """No ghosts first, then each alone."""
    return [{}, *({key: path} for key, path in ghosts.items())]


def _roots(covariance: Points) -> Points:
    """Lower triangular roots (n, 2, 2) of covariances (n, 3)."""
    xx, xy, yy = covariance.T
    roots = np.zeros((len(covariance), 2, 2))
    roots[:, 0, 0] = np.sqrt(np.maximum(xx, 0))
    np.divide(xy, roots[:, 0, 0], out=roots[:, 1, 0], where=roots[:, 0, 0] > 0)
    roots[:, 1, 1] = np.sqrt(np.maximum(yy - roots[:, 1, 0] ** 2, 0))
    return roots
