"""Expected hypothetical completion probability: the published way to rate passes that were not thrown.

Deshpande and Evans ("Expected Hypothetical Completion Probability", arXiv 1910.12337) fit the probability of a
completion to what is measured until arrival. Of a pass that was not thrown, what would have been measured in the air is
unknown: it is imputed from passes that were thrown, and the probability averaged over the imputations. No defender is
predicted.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

import ghostback_models
from ghostback.play import Play
from services.common.errors import DomainError
from services.features import feature_sets, tensors
from services.predict.outcomes import OUTPUT, Outcome
from training import plugin

Float = NDArray[np.float32]

MODEL = Path(next(iter(ghostback_models.__path__))) / "retrospective" / "pass_outcome_network" / plugin.ARTIFACT
KNOWN = 6
"""How many of the measurements are known of a pass that was not thrown; they come first."""
IMPUTATIONS = 50


class Hypothetical:
    """The completion probability of passes that were not thrown."""

    def __init__(self, thrown: Sequence[Play]) -> None:
        """Remember passes that were thrown.

        Args:
            thrown: the passes, with samples; those that cannot be measured are left out.
        """
        self._thrown = np.array([each for play in thrown if (each := _measured(play)) is not None], np.float32)
        self._scaler = StandardScaler().fit(self._thrown[:, :KNOWN])
        self._neighbours = NearestNeighbors(n_neighbors=IMPUTATIONS).fit(
            self._scaler.transform(self._thrown[:, :KNOWN])
        )

    def completion(self, known: Float) -> NDArray[np.float64]:
        """Probability of a completion (n,).

        The unknown measurements are those of the thrown passes that are most alike in the known ones.

        Args:
            known: (n, 6) the first measurements of `pass-outcome`, known at the throw.
        """
        alike = self._neighbours.kneighbors(self._scaler.transform(known), return_distance=False)
        imputed = np.repeat(known[:, None], IMPUTATIONS, axis=1)
        rows = np.concatenate([imputed, self._thrown[alike, KNOWN:]], axis=-1)
        said = plugin.run(MODEL, {"measurements": rows.reshape(-1, rows.shape[-1])})[OUTPUT]
        averaged: NDArray[np.float64] = said[:, Outcome.COMPLETE].reshape(len(known), IMPUTATIONS).mean(1)
        return averaged.astype(np.float64)


def _measured(play: Play) -> Float | None:
    try:
        batch = tensors.compute(play, feature_sets.get("pass-outcome@1"))
    except DomainError:
        return None
    row: Float = batch.tensors["measurements"][0]
    return row
