"""The tables of the statistics that are kept."""

from datetime import datetime
from pathlib import Path

from sqlalchemy import BigInteger, DateTime, Double, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

MIGRATIONS = Path(__file__).with_name("migrations")
_BIGINT = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up integer keys only


class Base(DeclarativeBase):
    """Base of the tables."""

    type_annotation_map = {str: Text, float: Double, datetime: DateTime(timezone=True)}  # noqa: RUF012


class KeptPlayRow(Base):
    """A revision of a play whose statistics are kept, be there any or not.

    `sequence` counts in the order of keeping; `superseded_by` is that of the later revision in its place.
    """

    __tablename__ = "kept_plays"
    __table_args__ = (
        UniqueConstraint("game_id", "play_id", "revision"),
        Index("kept_plays_by_successor", "superseded_by"),
    )

    sequence: Mapped[int] = mapped_column(_BIGINT, primary_key=True, autoincrement=True)
    game_id: Mapped[str] = mapped_column(String(63))
    play_id: Mapped[str] = mapped_column(String(63))
    revision: Mapped[int]
    season: Mapped[int]
    week: Mapped[int]
    time: Mapped[datetime]
    superseded_by: Mapped[int | None] = mapped_column(ForeignKey("kept_plays.sequence"))


class StatisticRow(Base):
    """A statistic of a kept play; `value` in whole ten-thousandths of the kind's unit.

    `player_id` is the league's, where the participant has one.
    """

    __tablename__ = "statistics"
    __table_args__ = (Index("statistics_by_play", "sequence"), Index("statistics_by_kind", "kind"))

    id: Mapped[int] = mapped_column(_BIGINT, primary_key=True, autoincrement=True)
    sequence: Mapped[int] = mapped_column(ForeignKey("kept_plays.sequence"))
    kind: Mapped[str]
    participant_id: Mapped[str]
    player_id: Mapped[str]
    display_name: Mapped[str]
    team_id: Mapped[str]
    position: Mapped[str]
    value: Mapped[int] = mapped_column(BigInteger)
    actual: Mapped[float]
    expected: Mapped[float]
    model_versions: Mapped[str]


class PositionRow(Base):
    """Where to go on in the order of completed plays: one row, locked by whoever keeps a play."""

    __tablename__ = "statistics_position"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    resume_token: Mapped[str]


class JudgedRow(Base):
    """How far a rollout was judged, in the order of completed plays.

    A predict service that forgot its rollouts numbers them from the first again, so that `started` is part of the key.
    """

    __tablename__ = "judged_rollouts"

    rollout: Mapped[str] = mapped_column(String(255), primary_key=True)
    started: Mapped[datetime] = mapped_column(primary_key=True)
    resume_token: Mapped[str]
