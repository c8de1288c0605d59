"""The rows of the store: finding them, and what is in them."""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import zstandard
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.orm import Session

from ghostback import convert, wire
from ghostback.play import Game, Play, Samples, game_name, play_name
from ghostback.tracking.v1 import play_pb2, samples_pb2
from services.common.errors import NotFound
from services.ingest.policies import Reason
from services.ingest.rules import Roster
from services.ingest.schema import BatchRow, GameRow, PlayRow, QuarantineRow, RevisionRow
from services.ingest.trajectories import Stored

PlayKey = tuple[str, str]
"""Ids of a game and of a play in it."""
_COMPLETING = 20_210_409
"""Number of PostgreSQL's advisory lock that lets one play at a time be completed."""


class Batch(NamedTuple):
    """Samples of a play that came together; of a named stream, with their number in it."""

    play: PlayKey
    samples: Samples
    stream: str = ""
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class StoredPlay:
    """A play without samples, as stored.

    Attributes:
        play: the play.
        revision: counts its versions from 1.
        created: its place in the order of creation; 0 for an earlier revision.
        completed: when it was completed or last corrected, microseconds since 1970; None while it is live, and
            for an earlier revision.
    """

    play: Play
    revision: int
    created: int
    completed: int | None


def existing_game(session: Session, game_id: str, lock: bool = False) -> GameRow:
    """A game's row.

    Raises:
        NotFound: there is no such game.
    """
    row = session.get(GameRow, game_id, with_for_update=lock)
    if row is None:
        name = game_name(game_id)
        raise NotFound("GAME_UNKNOWN", f"there is no game {name}", name)
    return row


def existing_play(session: Session, game_id: str, play_id: str) -> PlayRow:
    """A play's row.

    Raises:
        NotFound: there is no such play.
    """
    row = session.get(PlayRow, (game_id, play_id))
    if row is None:
        name = play_name(game_id, play_id)
        raise NotFound("PLAY_UNKNOWN", f"there is no play {name}", name)
    return row


def game_of(row: GameRow) -> Game:
    """The game of a row."""
    return convert.game_from_message(wire.view(play_pb2.Game).FromString(row.message))


def play_of(row: PlayRow | RevisionRow) -> StoredPlay:
    """The play of a row."""
    play = convert.play_from_message(wire.view(play_pb2.Play).FromString(row.message))
    if isinstance(row, RevisionRow):
        return StoredPlay(play, row.revision, 0, None)
    return StoredPlay(play, row.revision, row.created, row.completed)


def roster_of(message: bytes) -> tuple[Roster, float]:
    """Tags and sample rate of a play, straight from its message."""
    play = play_pb2.Play.FromString(message)
    player = play_pb2.PARTICIPANT_KIND_PLAYER
    return Roster({tag: p.kind == player for p in play.participants for tag in p.tag_ids}), play.sample_rate_hz


def is_of(
    table: type[PlayRow] | type[BatchRow] | type[QuarantineRow], plays: Sequence[PlayKey], revision: int | None = None
) -> ColumnElement[bool]:
    """Whether a row belongs to one of some plays; of samples, to their present revision or to the one of a number."""
    is_own = tuple_(table.game_id, table.play_id).in_(plays)
    if issubclass(table, PlayRow):
        return is_own
    if revision is None:
        return is_own & table.until.is_(None)
    return is_own & (table.since <= revision) & (table.until.is_(None) | (table.until >= revision))


def samples_of(
    session: Session,
    table: type[BatchRow] | type[QuarantineRow],
    plays: Sequence[PlayKey],
    revision: int | None = None,
) -> dict[PlayKey, list[Samples]]:
    """Samples of plays, at present or in one revision, as they were stored, in order of arrival."""
    found: defaultdict[PlayKey, list[Samples]] = defaultdict(list)
    query = select(table.game_id, table.play_id, table.samples).where(is_of(table, plays, revision))
    for game_id, play_id, blob in session.execute(query.order_by(table.id)):
        found[game_id, play_id].append(unpack(blob))
    return found


def stored_of(session: Session, row: PlayRow | RevisionRow) -> Stored:
    """What is stored of a play, or of an earlier revision of it."""
    key = row.game_id, row.play_id
    revision = row.revision if isinstance(row, RevisionRow) else None
    query = select(QuarantineRow.reasons).where(is_of(QuarantineRow, [key], revision)).order_by(QuarantineRow.id)
    roster, rate = roster_of(row.message)
    return Stored(
        joined(samples_of(session, BatchRow, [key], revision).get(key, [])),
        joined(samples_of(session, QuarantineRow, [key], revision).get(key, [])),
        np.frombuffer(b"".join(session.scalars(query)), np.uint8),
        roster,
        rate,
    )


def next_completed(session: Session) -> int:
    """The next place in the order of completions and corrections of all games: now, microseconds since 1970.

    Nobody else takes one before this transaction is over, so that places are given out in the order in which they
    can be seen. Of the clocks of several servers on one PostgreSQL none counts but the database's own.
    """
    now = time.time_ns() // 1000
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_COMPLETING)))
        now = int(1_000_000 * session.scalars(select(func.extract("epoch", func.clock_timestamp()))).one())
    latest = session.scalar(select(func.max(PlayRow.completed))) or 0
    return max(now, latest + 1)


def joined(parts: list[Samples]) -> Samples:
    """The rows of all parts, without a copy where there is one."""
    return parts[0] if len(parts) == 1 else Samples.concatenate(parts)


def pack(samples: Samples) -> bytes:
    """Samples as a compressed blob."""
    return zstandard.ZstdCompressor(level=1).compress(convert.samples_to_message(samples).SerializeToString())


def unpack(blob: bytes) -> Samples:
    """Samples of a blob."""
    message = wire.view(samples_pb2.Samples).FromString(zstandard.decompress(blob))
    return convert.samples_from_message(message) if message.sample_count else Samples.empty()


def counts(reasons: NDArray[np.uint8]) -> dict[Reason, int]:
    """Number of samples for each reason."""
    return {Reason(reason): count for reason, count in Counter(reasons.tolist()).most_common()}
