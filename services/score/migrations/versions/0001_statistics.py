"""Plays whose statistics are kept, the statistics, and where to go on."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_BIGINT = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "kept_plays",
        sa.Column("sequence", _BIGINT, primary_key=True, autoincrement=True),
        *(sa.Column(name, sa.String(63), nullable=False) for name in ("game_id", "play_id")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("revision", "season", "week")),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_by", _BIGINT, sa.ForeignKey("kept_plays.sequence")),
        sa.UniqueConstraint("game_id", "play_id", "revision"),
    )
    op.create_index("kept_plays_by_successor", "kept_plays", ["superseded_by"])
    texts = ("kind", "participant_id", "player_id", "display_name", "team_id", "position")
    op.create_table(
        "statistics",
        sa.Column("id", _BIGINT, primary_key=True, autoincrement=True),
        sa.Column("sequence", _BIGINT, sa.ForeignKey("kept_plays.sequence"), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in texts),
        sa.Column("value", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Double, nullable=False) for name in ("actual", "expected")),
        sa.Column("model_versions", sa.Text, nullable=False),
    )
    op.create_index("statistics_by_play", "statistics", ["sequence"])
    op.create_index("statistics_by_kind", "statistics", ["kind"])
    position = op.create_table(
        "statistics_position",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("resume_token", sa.Text, nullable=False),
    )
    op.bulk_insert(position, [{"id": 1, "resume_token": ""}])
