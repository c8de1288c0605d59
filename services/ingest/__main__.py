"""The ingest service: `python -m services.ingest --database-url sqlite:///FILE`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import CliApp

from services.common import server
from services.common.health import Service
from services.common.plays import INGEST_SERVICE
from services.common.settings import ServiceSettings
from services.ingest.policies import POLICIES, Action, Limits, Policy, Reason
from services.ingest.servicer import IngestServicer
from services.ingest.store import Store


class IngestSettings(ServiceSettings):
    """Take in tags, clean and store them, give out plays.

    Example: python -m services.ingest --database-url sqlite:///.run/ingest.db --port 8441
    """

    max_message_bytes: Annotated[int, Field(gt=0, description="Largest message taken.")] = 1024 * 1024
    max_concurrent_calls: Annotated[
        int, Field(gt=0, description="Calls and streams in flight; those beyond are refused.")
    ] = 128
    max_calls_per_peer: Annotated[
        int, Field(gt=0, description="Calls and streams in flight of one caller; those beyond are refused.")
    ] = 64
    request_memory_bytes: Annotated[
        int, Field(gt=0, description="Memory for requests being served, 50 bytes for each byte; others wait.")
    ] = 64 * 1024 * 1024
    database_url: Annotated[
        str,
        Field(description="Database, as SQLAlchemy names it: sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME."),
    ] = "sqlite:///.run/ingest.db"
    policy: Annotated[
        Literal["strict", "live", "archive"],
        Field(description="What is done about faults: drop all of them, repair what can be, or keep the record."),
    ] = "live"
    actions: Annotated[
        dict[str, Action],
        Field(description='Exceptions from the policy, such as {"gap": "keep", "frozen": "reject"}.'),
    ] = {}  # noqa: RUF012
    limits: Annotated[Limits, Field(description='Bounds, such as {"speed": 13, "gap": 0.8}.')] = Limits()


@asynccontextmanager
async def start(settings: IngestSettings) -> AsyncIterator[server.Services]:
    """Open the store and give the service."""
    store = await asyncio.to_thread(Store, settings.database_url, _policy(settings))
    servicer = IngestServicer(store)
    yield [Service(INGEST_SERVICE, servicer, partial(asyncio.to_thread, store.check))]
    await servicer.close()
    store.close()


def _policy(settings: IngestSettings) -> Policy:
    try:
        exceptions = {Reason[name.upper()]: action for name, action in settings.actions.items()}
        return Policy(POLICIES[settings.policy] | exceptions, settings.limits)
    except KeyError as error:
        known = ", ".join(reason.name.lower() for reason in Reason if reason)
        raise SystemExit(f"ingest: actions name {str(error).lower()}, which is not one of {known}") from None
    except ValueError as error:
        raise SystemExit(f"ingest: {error}") from None


if __name__ == "__main__":
    server.run("ingest", CliApp.run(IngestSettings), start)
