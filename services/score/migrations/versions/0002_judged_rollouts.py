"""How far each rollout was judged."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "judged_rollouts",
        sa.Column("rollout", sa.String(255), primary_key=True),
        sa.Column("started", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("resume_token", sa.Text, nullable=False),
    )
