"""The score service: `python -m services.score --ingest HOST:PORT --predict HOST:PORT`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from pydantic import Field
from pydantic_settings import CliApp

from ghostback.predict.v1 import predict_service_pb2
from services.common import server
from services.common.operations import OPERATION_SERVICE, Operations, OperationServicer
from services.common.plays import INGEST_SERVICE
from services.common.settings import ServiceSettings
from services.common.upstream import Upstream
from services.score.servicer import SCORE_SERVICE, ScoreServicer


class ScoreSettings(ServiceSettings):
    """Score trajectories of players and ghosts.

    Example: python -m services.score --ingest 127.0.0.1:8441 --predict 127.0.0.1:8443
    """

    ingest: Annotated[str, Field(description="Address of the ingest service, host:port.")]
    predict: Annotated[str, Field(description="Address of the predict service, host:port.")]


@asynccontextmanager
async def start(settings: ScoreSettings) -> AsyncIterator[server.Servicers]:
    """Connect to the upstream services and give the servicers."""
    predict_service = predict_service_pb2.DESCRIPTOR.services_by_name["PredictService"]
    ingest = Upstream("ingest", settings.ingest, INGEST_SERVICE, settings)
    predict = Upstream("predict", settings.predict, predict_service, settings)
    operations = Operations()
    yield [
        (SCORE_SERVICE, ScoreServicer(ingest, predict, operations)),
        (OPERATION_SERVICE, OperationServicer(operations)),
    ]
    await operations.close()
    await ingest.close()
    await predict.close()


if __name__ == "__main__":
    server.run("score", CliApp.run(ScoreSettings), start)
