"""The features service: `python -m services.features --ingest HOST:PORT`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from pydantic import Field
from pydantic_settings import CliApp

from services.common import server
from services.common.plays import INGEST_SERVICE
from services.common.settings import ServiceSettings
from services.common.upstream import Upstream
from services.features.servicer import FEATURES_SERVICE, FeaturesServicer


class FeaturesSettings(ServiceSettings):
    """Compute model inputs by versioned feature set.

    Example: python -m services.features --ingest 127.0.0.1:8441 --port 8442
    """

    ingest: Annotated[str, Field(description="Address of the ingest service, host:port.")]


@asynccontextmanager
async def start(settings: FeaturesSettings) -> AsyncIterator[server.Servicers]:
    """Connect to ingest and give the servicer."""
    ingest = Upstream("ingest", settings.ingest, INGEST_SERVICE, settings)
    yield [(FEATURES_SERVICE, FeaturesServicer(ingest))]
    await ingest.close()


if __name__ == "__main__":
    server.run("features", CliApp.run(FeaturesSettings), start)
