"""Loss of forecasts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns."""
    for name in ("stable_loss", "arm_loss"):
        op.add_column("judgements", sa.Column(name, sa.Double, nullable=True))
