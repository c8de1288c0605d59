"""Screening on a Dask cluster: its models are grown one after the other, each by all workers at once."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

import dask.array
import lightgbm as lgb
import numpy as np
from distributed import Client
from numpy.typing import NDArray

from services.features.screening.boosting import PARAMETERS, TREES, Floats, Workers


@dataclass(frozen=True)
class ClusterWorkers(Workers):
    """The workers of a cluster, for more rows than one machine holds.

    Rows are dealt out over the workers, so numbers differ a little from those of threads, and with
    the number of workers. A training that was stopped ends with the model in hand.

    Attributes:
        client: of the cluster.
    """

    _: KW_ONLY
    client: Client

    def fit(self, values: NDArray[np.float32], target: Floats) -> lgb.Booster:
        """A model of a target (n_rows,) from values (n_rows, n_columns)."""
        self.check()
        rows = -(-len(values) // max(1, len(self.client.nthreads())))
        parameters: dict[str, Any] = PARAMETERS | {"seed": self.seed % 2**31}
        del parameters["num_threads"]
        model = lgb.DaskLGBMRegressor(n_estimators=TREES, client=self.client, **parameters)
        model.fit(_dealt_out(values, (rows, -1)), _dealt_out(target, (rows,)))
        booster: lgb.Booster = model.booster_
        return booster


def _dealt_out(values: NDArray[Any], chunks: tuple[int, ...]) -> dask.array.Array:
    array: dask.array.Array = dask.array.from_array(values, chunks)  # type: ignore[no-untyped-call]
    return array
