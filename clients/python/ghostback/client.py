"""An asynchronous client of the four services: plain data and NumPy in and out."""

from ghostback.calls.ingest import IngestCalls
from ghostback.calls.predict import PredictCalls
from ghostback.calls.score import ScoreCalls
from ghostback.calls.statistics import StatisticsCalls
from ghostback.results import (
    Acknowledgement,
    Addresses,
    CompletedPlay,
    Ghost,
    Outputs,
    Prediction,
    Progress,
    QualityReport,
    Target,
    Yards,
    YardsAfterCatch,
    YardsForecast,
)

__all__ = [
    "Acknowledgement",
    "Addresses",
    "Client",
    "CompletedPlay",
    "Ghost",
    "Outputs",
    "Prediction",
    "Progress",
    "QualityReport",
    "Target",
    "Yards",
    "YardsAfterCatch",
    "YardsForecast",
]


class Client(IngestCalls, PredictCalls, ScoreCalls, StatisticsCalls):
    """One channel to each target; use as an async context manager.

    Every call but a stream has a deadline. Calls that may be repeated are, when a service is unavailable: see
    `ghostback.channels`. Streams go on after a broken connection, without loss and without doubles.

    Raises:
        grpc.aio.AioRpcError: from every call; `grpc_status.rpc_status.from_call` gives its details.
    """
