"""Stable versions, rollouts, their tallies and judgements, and the log, which can only be added to."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table("stable_versions", _key("model"), sa.Column("version", sa.String(63), nullable=False))
    op.create_table(
        "rollouts",
        _key("model"),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    _of_an_arm("tallies", _key("replica"), sa.Column("document", sa.Text, nullable=False))
    _of_an_arm(
        "judgements",
        sa.Column("play", sa.String(255), primary_key=True),
        *(sa.Column(name, sa.Double, nullable=False) for name in ("stable_ade", "arm_ade", "stable_ts", "arm_ts")),
    )
    op.create_table(
        "rollout_events",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("model", sa.String(63), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in _TEXTS),
    )
    op.create_index("events_by_rollout", "rollout_events", ["model", "number"])
    for statement in _APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)


_TEXTS = ("actor", "action", "reason", "before", "after", "evidence")
_APPEND_ONLY = {
    "sqlite": [
        f"CREATE TRIGGER no_{action}_of_rollout_events BEFORE {action} ON rollout_events "
        "BEGIN SELECT RAISE(ABORT, 'the log can only be added to'); END"
        for action in ("UPDATE", "DELETE")
    ],
    "postgresql": [
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RAISE EXCEPTION ''the log can only be added to''; END'",
        "CREATE TRIGGER no_change_of_rollout_events BEFORE UPDATE OR DELETE OR TRUNCATE ON rollout_events "
        "EXECUTE FUNCTION refuse_change()",
    ],
}


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(63), primary_key=True)


def _of_an_arm(name: str, *columns: sa.Column[str] | sa.Column[float]) -> None:
    op.create_table(
        name,
        _key("model"),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        _key("arm"),
        *columns,
        sa.ForeignKeyConstraint(["model", "number"], ["rollouts.model", "rollouts.number"]),
    )
