"""Games, plays, batches of clean samples, streams and the quarantine."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "games",
        sa.Column("game_id", sa.String(63), primary_key=True),
        sa.Column("message", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "plays",
        sa.Column("game_id", sa.String(63), sa.ForeignKey("games.game_id"), primary_key=True),
        sa.Column("play_id", sa.String(63), primary_key=True),
        sa.Column("message", sa.LargeBinary, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("created", sa.Integer, nullable=False),
        sa.Column("completed", sa.Integer),
        sa.Column("edits", sa.Integer, nullable=False),
        sa.Column("writes", sa.Integer, nullable=False),
    )
    op.create_index("plays_by_creation", "plays", ["game_id", "created"])
    op.create_index("plays_by_completion", "plays", ["game_id", "completed"])
    op.create_table(
        "revisions",
        sa.Column("game_id", sa.String(63), primary_key=True),
        sa.Column("play_id", sa.String(63), primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("message", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["game_id", "play_id"], ["plays.game_id", "plays.play_id"]),
    )
    _samples_table(
        "batches",
        sa.Column("accepted", sa.Integer, nullable=False),
        sa.Column("duplicates", sa.Integer, nullable=False),
    )
    op.create_table(
        "streams",
        sa.Column("stream", sa.String(63), primary_key=True),
        sa.Column("next_sequence", sa.BigInteger, nullable=False),
    )
    _samples_table("quarantine", sa.Column("reasons", sa.LargeBinary, nullable=False))


def _samples_table(name: str, *columns: sa.Column[object]) -> None:
    op.create_table(
        name,
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("game_id", sa.String(63), nullable=False),
        sa.Column("play_id", sa.String(63), nullable=False),
        sa.Column("since", sa.Integer, nullable=False),
        sa.Column("until", sa.Integer),
        sa.Column("samples", sa.LargeBinary, nullable=False),
        *columns,
        sa.ForeignKeyConstraint(["game_id", "play_id"], ["plays.game_id", "plays.play_id"]),
    )
    op.create_index(f"{name}_by_play", name, ["game_id", "play_id"])
