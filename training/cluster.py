"""The Dask cluster that many games, or many trainings, are worked on by."""

import logging
import signal
from functools import cache

from distributed import Client, LocalCluster


@cache
def client(scheduler: str = "") -> Client:
    """A client of a cluster; without an address, of one on this machine: a process of one thread for each core.

    Ctrl-C is for the process that asks; those of the cluster end with it.

    Raises:
        OSError: nothing answers at the address.
    """
    if scheduler:
        return Client(scheduler)
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    cluster = LocalCluster(threads_per_worker=1, dashboard_address=":0", silence_logs=logging.ERROR)
    signal.signal(signal.SIGINT, handler)
    return Client(cluster)
