"""The tables of the rollouts."""

from datetime import datetime
from pathlib import Path

from sqlalchemy import BigInteger, DateTime, ForeignKeyConstraint, Index, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

MIGRATIONS = Path(__file__).with_name("migrations")
_BIGINT = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up integer keys only


class Base(DeclarativeBase):
    """Base of the tables."""

    type_annotation_map = {str: String(63), datetime: DateTime(timezone=True)}  # noqa: RUF012


class StableRow(Base):
    """The version of a model that is in service; locked by whoever starts a rollout of it."""

    __tablename__ = "stable_versions"

    model: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str]


class RolloutRow(Base):
    """A rollout as JSON."""

    __tablename__ = "rollouts"

    model: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    revision: Mapped[int]
    active: Mapped[bool]
    document: Mapped[str] = mapped_column(Text)


class TallyRow(Base):
    """What one replica has counted of an arm, as JSON; each replica writes its own."""

    __tablename__ = "tallies"
    __table_args__ = (ForeignKeyConstraint(["model", "number"], ["rollouts.model", "rollouts.number"]),)

    model: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    arm: Mapped[str] = mapped_column(primary_key=True)
    replica: Mapped[str] = mapped_column(primary_key=True)
    document: Mapped[str] = mapped_column(Text)


class JudgementRow(Base):
    """How an arm and stable predicted a play that is over: ADE in yards and mean trajectory score, or loss alone."""

    __tablename__ = "judgements"
    __table_args__ = (ForeignKeyConstraint(["model", "number"], ["rollouts.model", "rollouts.number"]),)

    model: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    arm: Mapped[str] = mapped_column(primary_key=True)
    play: Mapped[str] = mapped_column(String(255), primary_key=True)
    stable_ade: Mapped[float]
    arm_ade: Mapped[float]
    stable_ts: Mapped[float]
    arm_ts: Mapped[float]
    stable_loss: Mapped[float | None]
    arm_loss: Mapped[float | None]


class EventRow(Base):
    """Something that was done to a rollout; rows can only be added."""

    __tablename__ = "rollout_events"
    __table_args__ = (Index("events_by_rollout", "model", "number"),)

    id: Mapped[int] = mapped_column(_BIGINT, primary_key=True, autoincrement=True)
    model: Mapped[str]
    number: Mapped[int]
    time: Mapped[datetime]
    actor: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    before: Mapped[str] = mapped_column(Text)
    after: Mapped[str] = mapped_column(Text)
    evidence: Mapped[str] = mapped_column(Text)
