"""Candidates that the tracks do not make: do they tell more than anyone could know?

What is handed in with a play, such as the score, may have been filled in afterwards, and no sample can be changed
to show it. So the honest part of the table, what is shown to be made of the tracks up to its instant, predicts
both the displacement and the candidate; what is left of the two should then have little to do with each other.
The share of the displacement's rest that the candidate's rest explains is the partial R^2; its significance is
that of the generalised covariance measure (Shah and Peters, Annals of Statistics 2020), summed by play, as the
rows of a play are not independent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.features.screening.boosting import Floats, Rows, Workers
from services.features.screening.table import Table

PARTIAL_R2 = 0.05
"""A candidate that explains more of what the honest ones leave open is reported as a leak."""
SIGNIFICANCE = 3.5
"""Standard errors that it must also be away from chance."""


@dataclass(frozen=True, slots=True)
class Excess:
    """What candidates tell beyond the honest ones; the larger of the two coordinates.

    Attributes:
        partial_r2: (n_suspects,) share of the open displacement explained.
        z: (n_suspects,) how many standard errors that is away from chance.
    """

    partial_r2: Floats
    z: Floats

    @property
    def leaks(self) -> NDArray[np.bool_]:
        """(n_suspects,) which of them know the future."""
        found: NDArray[np.bool_] = (self.partial_r2 > PARTIAL_R2) & (self.z > SIGNIFICANCE)
        return found


def excess(
    table: Table,
    honest: NDArray[np.intp],
    suspects: NDArray[np.intp],
    folds: Sequence[Rows],
    workers: Workers,
    report: Callable[[int, int], None],
) -> Excess:
    """What suspect columns of a table tell beyond the honest ones."""
    base = table.values[:, honest]
    open_displacement = table.displacement - workers.out_of_fold(base, table.displacement, folds)
    _, play = np.unique(table.play, return_inverse=True)
    partial_r2, z = np.zeros(len(suspects)), np.zeros(len(suspects))
    for i, suspect in enumerate(suspects):
        told = table.values[:, suspect].astype(np.float64)
        told = np.where(np.isnan(told), np.nanmean(told), told)
        told = (told - told.mean()) / max(told.std(), 1e-12)
        rest = told - workers.out_of_fold(base, told[:, None], folds)[:, 0]
        for of_axis in open_displacement.T:
            product = of_axis * rest
            explained = product.sum() ** 2 / max((of_axis**2).sum() * (rest**2).sum(), 1e-12)
            by_play = np.bincount(play, product)
            away = abs(by_play.sum()) / max(np.sqrt((by_play**2).sum()), 1e-12)
            if explained > partial_r2[i]:
                partial_r2[i], z[i] = explained, away
        report(i + 1, len(suspects))
    return Excess(partial_r2, z)
