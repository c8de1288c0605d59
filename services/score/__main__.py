"""The score service: `python -m services.score --ingest HOST:PORT --predict HOST:PORT`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated

from pydantic import Field
from pydantic_settings import CliApp

from services.common import server
from services.common.health import Service
from services.common.operations import OPERATION_SERVICE, Operations, OperationServicer
from services.common.plays import INGEST_SERVICE
from services.common.settings import ServiceSettings
from services.common.upstream import Upstream
from services.score.judge import Judge
from services.score.live import Live
from services.score.servicer import SCORE_SERVICE, ScoreServicer
from services.score.statistician import Statistician
from services.score.statistics_servicer import STATISTICS_SERVICE, StatisticsServicer
from services.score.store import Store
from services.score.upstreams import MODEL_SERVICE, PREDICT_SERVICE, ROLLOUT_SERVICE, Upstreams
from services.score.watchers import Watchers

_RETRY_SECONDS = 2.0
"""How long the statistics of plays wait for what does not answer."""


class ScoreSettings(ServiceSettings):
    """Score trajectories of players and ghosts.

    Example: python -m services.score --ingest 127.0.0.1:8441 --predict 127.0.0.1:8443
    """

    ingest: Annotated[str, Field(description="Address of the ingest service, host:port.")]
    predict: Annotated[str, Field(description="Address of the predict service, host:port.")]
    judge_seconds: Annotated[
        float, Field(gt=0, description="How often predict is asked which rollouts to judge plays for.")
    ] = 2.0
    database_url: Annotated[
        str,
        Field(
            description="Database of the statistics and of how far rollouts were judged, shared by all replicas: "
            "sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME; sqlite:// forgets them at the end."
        ),
    ] = "sqlite://"
    keep_statistics: Annotated[
        bool,
        Field(description="Compute the statistics of every play as it is completed or corrected, and keep them."),
    ] = True


@asynccontextmanager
async def start(settings: ScoreSettings) -> AsyncIterator[server.Services]:
    """Connect to the upstream services and give the services."""
    ingest = Upstream("ingest", settings.ingest, INGEST_SERVICE, settings)
    predict = Upstream("predict", settings.predict, PREDICT_SERVICE, settings)
    models = Upstream("predict", settings.predict, MODEL_SERVICE, settings)
    rollouts = Upstream("predict", settings.predict, ROLLOUT_SERVICE, settings)
    upstreams = Upstreams(ingest, predict, models, rollouts)
    operations = Operations()
    store = await asyncio.to_thread(Store, settings.database_url)
    watchers = Watchers(store)
    following = [
        asyncio.create_task(Judge(upstreams, store, settings.judge_seconds).run()),
        asyncio.create_task(Live(upstreams, watchers, _RETRY_SECONDS).run()),
        asyncio.create_task(watchers.run()),
    ]
    if settings.keep_statistics:
        following.append(asyncio.create_task(Statistician(upstreams, store, _RETRY_SECONDS).run()))
    yield [
        Service(SCORE_SERVICE, ScoreServicer(ingest, upstreams, operations)),
        Service(OPERATION_SERVICE, OperationServicer(operations)),
        Service(
            STATISTICS_SERVICE,
            StatisticsServicer(ingest, upstreams, store, watchers),
            partial(asyncio.to_thread, store.check),
        ),
    ]
    for task in following:
        task.cancel()
    await asyncio.wait(following)
    await operations.close()
    for upstream in (ingest, predict, models, rollouts):
        await upstream.close()
    store.close()


if __name__ == "__main__":
    server.run("score", CliApp.run(ScoreSettings), start)
