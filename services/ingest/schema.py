"""The tables of the store."""

from sqlalchemy import ForeignKeyConstraint, Index, LargeBinary, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Base of the tables."""

    type_annotation_map = {bytes: LargeBinary, str: String(63)}  # noqa: RUF012


class GameRow(Base):
    """A game: its message, serialised."""

    __tablename__ = "games"

    game_id: Mapped[str] = mapped_column(primary_key=True)
    message: Mapped[bytes]


class PlayRow(Base):
    """A play: its message without samples, serialised.

    `created` counts the plays of the store in the order of their creation; `completed` counts
    completions and corrections, and is empty until the play is over.
    """

    __tablename__ = "plays"
    __table_args__ = (
        ForeignKeyConstraint(["game_id"], ["games.game_id"]),
        Index("plays_by_creation", "game_id", "created"),
        Index("plays_by_completion", "game_id", "completed"),
    )

    game_id: Mapped[str] = mapped_column(primary_key=True)
    play_id: Mapped[str] = mapped_column(primary_key=True)
    message: Mapped[bytes]
    revision: Mapped[int]
    created: Mapped[int]
    completed: Mapped[int | None]


class BatchRow(Base):
    """The clean samples of a batch as one compressed blob."""

    __tablename__ = "batches"
    __table_args__ = (
        ForeignKeyConstraint(["game_id", "play_id"], ["plays.game_id", "plays.play_id"]),
        Index("batches_by_play", "game_id", "play_id"),
    )

    batch_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    game_id: Mapped[str]
    play_id: Mapped[str]
    samples: Mapped[bytes]
    accepted: Mapped[int]
    duplicates: Mapped[int]


class QuarantineRow(Base):
    """The quarantined samples of a batch as one compressed blob, and the reason of each as a byte."""

    __tablename__ = "quarantine"
    __table_args__ = (
        ForeignKeyConstraint(["game_id", "play_id"], ["plays.game_id", "plays.play_id"]),
        Index("quarantine_by_play", "game_id", "play_id"),
    )

    quarantine_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    game_id: Mapped[str]
    play_id: Mapped[str]
    samples: Mapped[bytes]
    reasons: Mapped[bytes]
