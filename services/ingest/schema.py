"""The tables of the store."""

from pathlib import Path

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, Integer, LargeBinary, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

MIGRATIONS = Path(__file__).with_name("migrations")
BIGINT = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up integer keys only


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

    `created` counts the plays of a game in the order of their creation; `completed` is when the play
    was completed or last corrected, microseconds since 1970, and is empty until the play is over; no
    two plays have the same. `edits` counts changes of the message, `writes` additions of samples.
    """

    __tablename__ = "plays"
    __table_args__ = (
        ForeignKeyConstraint(["game_id"], ["games.game_id"]),
        Index("plays_by_creation", "game_id", "created"),
        Index("plays_by_completion", "game_id", "completed"),
        Index("plays_by_completion_time", "completed"),
    )

    game_id: Mapped[str] = mapped_column(primary_key=True)
    play_id: Mapped[str] = mapped_column(primary_key=True)
    message: Mapped[bytes]
    revision: Mapped[int]
    created: Mapped[int]
    completed: Mapped[int | None] = mapped_column(BIGINT)
    edits: Mapped[int]
    writes: Mapped[int]


class RevisionRow(Base):
    """An earlier revision of a play: its message without samples, serialised."""

    __tablename__ = "revisions"
    __table_args__ = (ForeignKeyConstraint(["game_id", "play_id"], ["plays.game_id", "plays.play_id"]),)

    game_id: Mapped[str] = mapped_column(primary_key=True)
    play_id: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    message: Mapped[bytes]


class StreamRow(Base):
    """A named stream, and the number of its first batch that is not on disk."""

    __tablename__ = "streams"

    stream: Mapped[str] = mapped_column(primary_key=True)
    next_sequence: Mapped[int] = mapped_column(BigInteger)


class BatchRow(Base):
    """Clean samples of a play that were stored together, as one compressed blob.

    They belong to the revisions of the play from `since` to `until`; to the present one where that is empty.
    """

    __tablename__ = "batches"
    __table_args__ = (
        ForeignKeyConstraint(["game_id", "play_id"], ["plays.game_id", "plays.play_id"]),
        Index("batches_by_play", "game_id", "play_id"),
    )

    id: Mapped[int] = mapped_column(BIGINT, primary_key=True, autoincrement=True)
    game_id: Mapped[str]
    play_id: Mapped[str]
    since: Mapped[int]
    until: Mapped[int | None]
    samples: Mapped[bytes]
    accepted: Mapped[int]
    duplicates: Mapped[int]


class QuarantineRow(Base):
    """Quarantined samples of a play that were stored together, as one blob, and the reason of each as a byte.

    They belong to revisions as those of a `BatchRow` do.
    """

    __tablename__ = "quarantine"
    __table_args__ = (
        ForeignKeyConstraint(["game_id", "play_id"], ["plays.game_id", "plays.play_id"]),
        Index("quarantine_by_play", "game_id", "play_id"),
    )

    id: Mapped[int] = mapped_column(BIGINT, primary_key=True, autoincrement=True)
    game_id: Mapped[str]
    play_id: Mapped[str]
    since: Mapped[int]
    until: Mapped[int | None]
    samples: Mapped[bytes]
    reasons: Mapped[bytes]
