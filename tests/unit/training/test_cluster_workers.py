"""Screening's models on a Dask cluster."""

import numpy as np
from distributed import Client, LocalCluster

from services.features.screening.boosting import Workers
from training.cluster_workers import ClusterWorkers


def test_a_cluster_grows_a_model_as_good_as_that_of_threads() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(3_000, 5)).astype(np.float32)
    target = 2.0 * values[:, 0] + np.abs(values[:, 1]) + rng.normal(0, 0.1, 3_000)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as two,
        Client(two) as client,
    ):
        errors = []
        for workers in (Workers(1, 1), ClusterWorkers(1, 1, client=client)):
            model = workers.fit(values[:2_000], target[:2_000])
            errors.append(np.sqrt(np.mean((workers.predict(model, values[2_000:]) - target[2_000:]) ** 2)))
            assert model.feature_importance("gain").argmax() == 0
    threads, cluster = errors
    assert threads < 0.3
    assert cluster < 1.2 * threads
