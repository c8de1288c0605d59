"""How Alembic runs the migrations: on the connection that the server opened."""

from alembic import context

from services.score.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    version_table="statistics_alembic_version",
)
with context.begin_transaction():
    context.run_migrations()
