"""The ingest service: `python -m services.ingest --database-url sqlite:///FILE`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from pydantic import Field
from pydantic_settings import CliApp

from services.common import server
from services.common.plays import INGEST_SERVICE
from services.common.settings import ServiceSettings
from services.ingest.rules import Limits
from services.ingest.servicer import IngestServicer
from services.ingest.store import Store


class IngestSettings(ServiceSettings):
    """Take in tags, clean and store them, give out plays.

    Example: python -m services.ingest --database-url sqlite:///.run/ingest.db --port 8441
    """

    database_url: Annotated[
        str,
        Field(description="Database, as SQLAlchemy names it: sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME."),
    ] = "sqlite:///.run/ingest.db"
    speed_limit: Annotated[float, Field(gt=0, description="Highest speed of a player, yd/s.")] = Limits().speed
    displacement_limit: Annotated[float, Field(gt=0, description="Farthest a player moves in 0.1 s, yd.")] = (
        Limits().displacement
    )
    off_field_tolerance: Annotated[float, Field(ge=0, description="How far off the field a sample may lie, yd.")] = (
        Limits().off_field
    )


@asynccontextmanager
async def start(settings: IngestSettings) -> AsyncIterator[server.Servicers]:
    """Open the store and give the servicer."""
    limits = Limits(settings.speed_limit, settings.displacement_limit, settings.off_field_tolerance)
    store = Store(settings.database_url, limits)
    servicer = IngestServicer(store)
    yield [(INGEST_SERVICE, servicer)]
    await servicer.close()
    store.close()


if __name__ == "__main__":
    server.run("ingest", CliApp.run(IngestSettings), start)
