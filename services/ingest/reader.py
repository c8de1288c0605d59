"""What is read from the store: games, plays, their samples, quality and quarantine."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from ghostback.play import Game, Samples
from services.common.database import Database
from services.ingest.policies import Policy
from services.ingest.quality import Quality, quality_of
from services.ingest.revisions import existing_revision
from services.ingest.rows import (
    PlayKey,
    StoredPlay,
    existing_game,
    existing_play,
    game_of,
    is_of,
    play_of,
    stored_of,
    unpack,
)
from services.ingest.schema import GameRow, PlayRow, QuarantineRow, StreamRow
from services.ingest.trajectories import Trajectories, mend


class Reader:
    """Games, plays, samples and quarantine in a database, each call on one state of it; for any number of threads.

    Every method raises Unavailable when the database cannot be reached.
    """

    def __init__(self, database: Database, policy: Policy) -> None:
        """Read from a database, and clean trajectories by a policy."""
        self._database = database
        self._policy = policy

    def game(self, game_id: str) -> Game:
        """A game.

        Raises:
            NotFound: there is none of that id.
        """
        with self._database.snapshot() as session:
            return game_of(existing_game(session, game_id))

    def games(self, after: str, limit: int) -> list[Game]:
        """Games in order of id, from after an id on."""
        with self._database.snapshot() as session:
            query = select(GameRow).where(GameRow.game_id > after).order_by(GameRow.game_id).limit(limit)
            return [game_of(row) for row in session.scalars(query)]

    def play(self, game_id: str, play_id: str, revision: int = 0) -> StoredPlay:
        """A play without samples; of a revision, 0 meaning the present one.

        Raises:
            NotFound: there is none of that id, or it has no such revision.
        """
        with self._database.snapshot() as session:
            return play_of(existing_revision(session, game_id, play_id, revision))

    def play_ids(self, game_id: str) -> list[str]:
        """Ids of all plays of a game, in order of creation.

        Raises:
            NotFound: there is no such game.
        """
        with self._database.snapshot() as session:
            existing_game(session, game_id)
            return list(session.scalars(select(PlayRow.play_id).filter_by(game_id=game_id).order_by(PlayRow.created)))

    def plays(self, game_id: str, after: int, limit: int) -> list[StoredPlay]:
        """Plays of a game in order of creation, from after a place in it on.

        Raises:
            NotFound: there is no such game.
        """
        return self._plays(game_id, PlayRow.created, after, limit)

    def completed(self, game_id: str, after: int, limit: int) -> list[StoredPlay]:
        """Plays of a game, or of all where it is empty, that are over, in the order of completion or correction.

        Args:
            game_id: of the game, or empty.
            after: the place in that order from after which on, microseconds since 1970.
            limit: most plays to give.

        Raises:
            NotFound: there is no such game.
        """
        return self._plays(game_id, PlayRow.completed, after, limit)

    def live(self, game_id: str) -> dict[PlayKey, int]:
        """How often each play of a game, or of all where it is empty, that is not over was edited, in order of ids.

        Raises:
            NotFound: there is no such game.
        """
        with self._database.snapshot() as session:
            row = PlayRow
            query = select(row.game_id, row.play_id, row.edits).where(row.completed.is_(None))
            query = query.order_by(row.game_id, row.play_id)
            if game_id:
                existing_game(session, game_id)
                query = query.filter_by(game_id=game_id)
            return {(game, play): edits for game, play, edits in session.execute(query)}

    def next_sequence(self, stream: str) -> int:
        """Number of the first batch of a named stream that is not on disk."""
        with self._database.snapshot() as session:
            row = session.get(StreamRow, stream)
            return row.next_sequence if row else 0

    def trajectories(self, game_id: str, play_id: str, revision: int = 0) -> Trajectories:
        """The samples of a play after cleaning; of a revision, 0 meaning the present one.

        Raises:
            NotFound: there is no such play, or it has no such revision.
        """
        with self._database.snapshot() as session:
            return mend(stored_of(session, existing_revision(session, game_id, play_id, revision)), self._policy)

    def quality(self, game_id: str, play_id: str | None) -> Quality:
        """What became of all samples of a play, or of a game.

        Raises:
            NotFound: there is no such play or game.
        """
        with self._database.snapshot() as session:
            if play_id is None:
                existing_game(session, game_id)
                rows = session.scalars(select(PlayRow).filter_by(game_id=game_id)).all()
            else:
                rows = [existing_play(session, game_id, play_id)]
            return quality_of(session, rows, self._policy)

    def quarantined(
        self, game_id: str, play_id: str, start: int, limit: int
    ) -> tuple[Samples, NDArray[np.uint8], bool]:
        """Quarantined samples of a play in order of arrival, their reasons, and whether there are more.

        Args:
            game_id: the game.
            play_id: the play.
            start: how many to leave out at the beginning.
            limit: how many to give at most.

        Raises:
            NotFound: there is no such play.
        """
        with self._database.snapshot() as session:
            existing_play(session, game_id, play_id)
            query = select(QuarantineRow).where(is_of(QuarantineRow, [(game_id, play_id)]))
            found = session.scalars(query.order_by(QuarantineRow.id)).all()
            samples = Samples.concatenate([unpack(row.samples) for row in found])
            reasons = np.frombuffer(b"".join(row.reasons for row in found), np.uint8)
            page = slice(start, start + limit)
            return samples.take(page), reasons[page], len(samples) > start + limit

    def _plays(self, game_id: str, order: Any, after: int, limit: int) -> list[StoredPlay]:
        with self._database.snapshot() as session:
            query = select(PlayRow).where(order > after).order_by(order).limit(limit)
            if game_id:
                existing_game(session, game_id)
                query = query.filter_by(game_id=game_id)
            return [play_of(row) for row in session.scalars(query)]
