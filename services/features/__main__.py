"""The features service: `python -m services.features --ingest HOST:PORT`."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import CliApp

from services.common import server
from services.common.health import Service
from services.common.operations import OPERATION_SERVICE, Operations, OperationServicer
from services.common.plays import INGEST_SERVICE
from services.common.settings import ServiceSettings
from services.common.upstream import Upstream
from services.features.library import Library
from services.features.servicer import FEATURES_SERVICE, FeaturesServicer


class FeaturesSettings(ServiceSettings):
    """Compute model inputs by versioned feature set.

    Example: python -m services.features --ingest 127.0.0.1:8441 --port 8442 --feature-sets feature-sets
    """

    ingest: Annotated[str, Field(description="Address of the ingest service, host:port.")]
    feature_sets: Annotated[
        Path | None, Field(description="Folder of screened feature sets; SelectFeatures adds to it, and needs one.")
    ] = None
    screening_threads: Annotated[
        int, Field(ge=1, description="Models fitted at a time in SelectFeatures; by default one a core.")
    ] = os.cpu_count() or 1


@asynccontextmanager
async def start(settings: FeaturesSettings) -> AsyncIterator[server.Services]:
    """Connect to ingest and give the services."""
    ingest = Upstream("ingest", settings.ingest, INGEST_SERVICE, settings)
    operations = Operations()
    servicer = FeaturesServicer(ingest, Library(settings.feature_sets), operations, settings.screening_threads)
    yield [Service(FEATURES_SERVICE, servicer), Service(OPERATION_SERVICE, OperationServicer(operations))]
    await operations.close()
    await ingest.close()


if __name__ == "__main__":
    server.run("features", CliApp.run(FeaturesSettings), start)
