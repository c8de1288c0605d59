"""The database: opening it, transactions, and what goes wrong with it."""

import fcntl
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TextIO

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from services.common.errors import ResourceExhausted, Unavailable

_MIGRATING = 20_210_408
"""Number of PostgreSQL's advisory lock that lets one server at a time migrate."""


class Database:
    """SQLite, for servers on one machine, or PostgreSQL."""

    def __init__(self, url: str, migrations: Path, *, alone: bool) -> None:
        """Open the database, and bring its tables to the present schema.

        Args:
            url: SQLAlchemy's, such as `sqlite:///.run/ingest.db` or `postgresql+psycopg://user@host/name`;
                `sqlite://` is in memory, for one thread.
            migrations: folder of the Alembic migrations.
            alone: whether an SQLite file is for one server only.

        Raises:
            OSError: the database cannot be opened, or another server has the SQLite file open.
        """
        self._lock = _lock(url, alone)
        self.engine = _open(url)
        is_sqlite = self.engine.dialect.name == "sqlite"
        self._reading = self.engine.execution_options(
            **({"begin": "BEGIN"} if is_sqlite else {"isolation_level": "REPEATABLE READ"})
        )
        try:
            migrate(self.engine, migrations)
        except DBAPIError as error:
            raise OSError(f"the database {url} cannot be opened: {error.orig}") from None

    def close(self) -> None:
        """Close the database."""
        self.engine.dispose()
        if self._lock:
            self._lock.close()

    def session(self) -> AbstractContextManager[Session]:
        """A transaction.

        Raises:
            ResourceExhausted: the disk is full.
            Unavailable: the database cannot be reached, or is locked.
        """
        return self._transaction(self.engine)

    def snapshot(self) -> AbstractContextManager[Session]:
        """A transaction that reads one state of the database, whatever others write meanwhile.

        Raises:
            Unavailable: the database cannot be reached.
        """
        return self._transaction(self._reading)

    def check(self) -> None:
        """Ask the database something.

        Raises:
            Unavailable: it cannot be reached.
        """
        with self.snapshot() as session:
            session.execute(text("SELECT 1"))

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Session]:
        try:
            with Session(engine) as session, session.begin():
                yield session
        except DBAPIError as error:
            cause = str(error.orig)
            if "full" in cause or "No space left" in cause:
                raise ResourceExhausted(
                    "STORAGE_FULL", f"no room to store this, nothing of it was kept: {cause}"
                ) from None
            raise Unavailable("STORAGE_UNAVAILABLE", f"the store cannot be used now: {cause}") from None


def migrate(engine: Engine, migrations: Path, action: str = "upgrade") -> None:
    """Bring a database to the present schema.

    Args:
        engine: of the database.
        migrations: folder of the Alembic migrations.
        action: `upgrade`; or `check`, to raise an error if the migrations do not lead to the tables of `schema`.
    """
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATING})"))
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(migrations))
        if action == "check":
            command.check(config)
        else:
            command.upgrade(config, "head")


def _lock(url: str, alone: bool) -> TextIO | None:
    """Make the SQLite file's folder, and sure that no other server has the file open if it is for one alone."""
    path = make_url(url).database
    if not url.startswith("sqlite") or not path:
        return None
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if not alone:
        return None
    lock = Path(f"{path}.lock").open("w")  # noqa: SIM115
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise OSError(f"another server has {path} open; stop it, or name another database") from None
    return lock


def _open(url: str) -> Engine:
    in_memory = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
    engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"), **(in_memory if url == "sqlite://" else {}))
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def durable(connection: object, _: object) -> None:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]
            connection.isolation_level = None  # type: ignore[attr-defined]

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN IMMEDIATE"))

    return engine
