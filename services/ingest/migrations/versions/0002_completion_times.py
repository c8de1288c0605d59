"""Plays in the order of their completion over all games; places counted so far come first."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make room for microseconds, and find them over all games."""
    if op.get_bind().dialect.name != "sqlite":
        op.alter_column("plays", "completed", type_=sa.BigInteger)
    op.create_index("plays_by_completion_time", "plays", ["completed"])
