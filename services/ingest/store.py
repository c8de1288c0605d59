"""Plays and their samples, kept on disk."""

import fcntl
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import zstandard
from numpy.typing import NDArray
from sqlalchemy import Engine, create_engine, event, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ghostback import convert, wire
from ghostback.play import Game, Play, PlayState, Samples, game_name, play_name
from ghostback.tracking.v1 import play_pb2, samples_pb2
from services.common.errors import NotFound, ResourceExhausted, Unavailable
from services.ingest import identity
from services.ingest.rules import LastGood, Limits, Reason, Roster, clean
from services.ingest.schema import Base, BatchRow, GameRow, PlayRow, QuarantineRow

_CACHED_PLAYS = 64


@dataclass(frozen=True, slots=True)
class StoredPlay:
    """A play without samples, as stored.

    Attributes:
        play: the play.
        revision: counts its versions from 1.
        created: its place in the order of creation.
        completed: its place in the order of completions and corrections; None while it is live.
    """

    play: Play
    revision: int
    created: int
    completed: int | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a batch: samples stored as clean, dropped as replays, and quarantined by reason."""

    accepted: int
    duplicates: int
    quarantined: dict[Reason, int]


@dataclass
class _Memory:
    """What must be known of a play to judge its next batch; made anew from the store when forgotten."""

    roster: Roster
    sample_rate: float
    last_good: LastGood
    keys: identity.Hashes
    rows: identity.Hashes


class Store:
    """Games, plays, samples and quarantine in a database. Not for use by several threads at once."""

    def __init__(self, url: str, limits: Limits) -> None:
        """Open the database, and make its tables where they are missing.

        Args:
            url: SQLAlchemy's, such as `sqlite:///.run/ingest.db`.
            limits: the bounds of the cleaning rules.

        Raises:
            OSError: the database cannot be opened, or another server has it open.
        """
        self._limits = limits
        self._memories: OrderedDict[tuple[str, str], _Memory] = OrderedDict()
        self._lock = _lock(url)
        self._engine = _open(url)
        try:
            Base.metadata.create_all(self._engine)
        except DBAPIError as error:
            raise OSError(f"the database {url} cannot be opened: {error.orig}") from None

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()
        if self._lock:
            self._lock.close()

    def put_game(self, game: Game) -> None:
        """Create a game or replace it."""
        with self._session() as session:
            session.merge(GameRow(game_id=game.game_id, message=convert.game_to_message(game).SerializeToString()))

    def game(self, game_id: str) -> Game:
        """A game.

        Raises:
            NotFound: there is none of that id.
        """
        with self._session() as session:
            return _game(_existing_game(session, game_id))

    def games(self, after: str, limit: int) -> list[Game]:
        """Games in order of id, from after an id on."""
        with self._session() as session:
            query = select(GameRow).where(GameRow.game_id > after).order_by(GameRow.game_id).limit(limit)
            return [_game(row) for row in session.scalars(query)]

    def put_play(self, play: Play) -> StoredPlay:
        """Create a play or replace its metadata. A play that was over gets a new revision.

        Raises:
            NotFound: the game does not exist.
        """
        message = convert.play_to_message(play)
        message.ClearField("samples")
        over = play.state is not PlayState.LIVE
        with self._session() as session:
            _existing_game(session, play.game_id)
            row = session.get(PlayRow, (play.game_id, play.play_id))
            if row is None:
                row = PlayRow(game_id=play.game_id, play_id=play.play_id, revision=1)
                row.created = (session.scalar(select(func.max(PlayRow.created))) or 0) + 1
                session.add(row)
            elif row.completed is not None:
                row.revision += 1
            row.message = message.SerializeToString()
            if over:
                row.completed = (session.scalar(select(func.max(PlayRow.completed))) or 0) + 1
            session.flush()
            stored = _stored(row)
        self._memories.pop((play.game_id, play.play_id), None)
        return stored

    def play(self, game_id: str, play_id: str) -> StoredPlay:
        """A play without samples.

        Raises:
            NotFound: there is none of that id.
        """
        with self._session() as session:
            return _stored(_existing_play(session, game_id, play_id))

    def plays(self, game_id: str, after: int, limit: int) -> list[StoredPlay]:
        """Plays of a game in order of creation, from after a place in it on.

        Raises:
            NotFound: there is no such game.
        """
        return self._plays(game_id, PlayRow.created, after, limit)

    def completed(self, game_id: str, after: int, limit: int) -> list[StoredPlay]:
        """Plays of a game that are over, in order of completion or correction, from after a place in it on.

        Raises:
            NotFound: there is no such game.
        """
        return self._plays(game_id, PlayRow.completed, after, limit)

    def append(self, game_id: str, play_id: str, samples: Samples) -> Receipt:
        """Judge a batch and store it, whole or not at all. When this returns, it is on disk.

        Raises:
            NotFound: there is no such play.
            ResourceExhausted: the disk is full.
            Unavailable: the database cannot be reached.
        """
        key = (game_id, play_id)
        try:
            with self._session() as session:
                memory = self._memories.pop(key, None) or self._remember(session, game_id, play_id)
                rows = identity.row_hashes(samples)
                known = np.isin(rows, memory.rows) | identity.repeated(rows)
                fresh, rows = samples.take(~known), rows[~known]
                keys = identity.key_hashes(fresh)
                reasons, last_good = clean(fresh, memory.roster, memory.sample_rate, memory.last_good, self._limits)
                fit = reasons == Reason.FIT
                taken = np.isin(keys, memory.keys)
                taken[fit] |= identity.repeated(keys[fit])
                reasons[fit & taken] = Reason.CONFLICTING_DUPLICATE
                fit &= ~taken
                receipt = Receipt(int(fit.sum()), int(known.sum()), _counts(reasons[~fit]))
                self._add(session, game_id, play_id, fresh, reasons, receipt)
        except BaseException:
            self._memories.pop(key, None)
            raise
        memory.last_good = last_good
        memory.keys = np.concatenate([memory.keys, keys[fit]])
        memory.rows = np.concatenate([memory.rows, rows])
        self._memories[key] = memory
        if len(self._memories) > _CACHED_PLAYS:
            self._memories.popitem(last=False)
        return receipt

    def samples(self, game_id: str, play_id: str) -> Samples:
        """The clean samples of a play, ordered by frame, then tag."""
        with self._session() as session:
            return Samples.concatenate(_batches(session, game_id, play_id)).sorted_by_frame()

    def quality(self, game_id: str, play_id: str | None) -> Receipt:
        """What became of all samples of a play, or of a game.

        Raises:
            NotFound: there is no such play or game.
        """
        with self._session() as session:
            if play_id is None:
                _existing_game(session, game_id)
            else:
                _existing_play(session, game_id, play_id)
            total = select(func.sum(BatchRow.accepted), func.sum(BatchRow.duplicates)).filter_by(game_id=game_id)
            quarantine = select(QuarantineRow.reasons).filter_by(game_id=game_id)
            if play_id is not None:
                total, quarantine = total.filter_by(play_id=play_id), quarantine.filter_by(play_id=play_id)
            accepted, duplicates = session.execute(total).one()
            reasons = np.frombuffer(b"".join(session.scalars(quarantine)), np.uint8)
            return Receipt(accepted or 0, duplicates or 0, _counts(reasons))

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
        with self._session() as session:
            _existing_play(session, game_id, play_id)
            query = select(QuarantineRow).filter_by(game_id=game_id, play_id=play_id)
            found = session.scalars(query.order_by(QuarantineRow.quarantine_id)).all()
            samples = Samples.concatenate([_unpack(row.samples) for row in found])
            reasons = np.frombuffer(b"".join(row.reasons for row in found), np.uint8)
            page = slice(start, start + limit)
            return samples.take(page), reasons[page], len(samples) > start + limit

    def _plays(self, game_id: str, order: Any, after: int, limit: int) -> list[StoredPlay]:
        with self._session() as session:
            _existing_game(session, game_id)
            query = select(PlayRow).filter_by(game_id=game_id).where(order > after).order_by(order).limit(limit)
            return [_stored(row) for row in session.scalars(query)]

    def _add(
        self,
        session: Session,
        game_id: str,
        play_id: str,
        samples: Samples,
        reasons: NDArray[np.uint8],
        receipt: Receipt,
    ) -> None:
        fit = reasons == Reason.FIT
        where = {"game_id": game_id, "play_id": play_id}
        if receipt.accepted or receipt.duplicates:
            packed = _pack(samples.take(fit))
            session.add(BatchRow(**where, samples=packed, accepted=receipt.accepted, duplicates=receipt.duplicates))
        if not fit.all():
            packed = _pack(samples.take(~fit))
            session.add(QuarantineRow(**where, samples=packed, reasons=reasons[~fit].tobytes()))

    def _remember(self, session: Session, game_id: str, play_id: str) -> _Memory:
        play = _stored(_existing_play(session, game_id, play_id)).play
        clean_samples = Samples.concatenate(_batches(session, game_id, play_id))
        faulty = [
            _unpack(blob)
            for blob in session.scalars(select(QuarantineRow.samples).filter_by(game_id=game_id, play_id=play_id))
        ]
        roster = Roster.of(play)
        players = clean_samples.take(np.isin(clean_samples.tag_id, roster.players)).sorted_by_frame()
        columns = (players.tag_id.tolist(), players.frame.tolist(), players.x.tolist(), players.y.tolist())
        return _Memory(
            roster,
            play.sample_rate,
            {tag: (frame, x, y) for tag, frame, x, y in zip(*columns, strict=True)},
            identity.key_hashes(clean_samples),
            identity.row_hashes(Samples.concatenate([clean_samples, *faulty])),
        )

    @contextmanager
    def _session(self) -> Iterator[Session]:
        """A transaction; what goes wrong with the database is told as a domain error."""
        try:
            with Session(self._engine) as session, session.begin():
                yield session
        except DBAPIError as error:
            cause = str(error.orig)
            if "full" in cause:
                raise ResourceExhausted(
                    "STORAGE_FULL", f"no room to store this, nothing of it was kept: {cause}"
                ) from None
            raise Unavailable("STORAGE_UNAVAILABLE", f"the store cannot be used now: {cause}") from None


def _lock(url: str) -> TextIO | None:
    """Make sure that no other server has the SQLite file open; other databases see to it themselves."""
    path = make_url(url).database
    if not url.startswith("sqlite") or not path:
        return None
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    lock = Path(f"{path}.lock").open("w")  # noqa: SIM115
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise OSError(f"another ingest server has {path} open; stop it, or name another database") from None
    return lock


def _open(url: str) -> Engine:
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def durable(connection: object, _: object) -> None:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]

    return engine


def _existing_game(session: Session, game_id: str) -> GameRow:
    row = session.get(GameRow, game_id)
    if row is None:
        name = game_name(game_id)
        raise NotFound("GAME_UNKNOWN", f"there is no game {name}", name)
    return row


def _existing_play(session: Session, game_id: str, play_id: str) -> PlayRow:
    row = session.get(PlayRow, (game_id, play_id))
    if row is None:
        name = play_name(game_id, play_id)
        raise NotFound("PLAY_UNKNOWN", f"there is no play {name}", name)
    return row


def _game(row: GameRow) -> Game:
    return convert.game_from_message(wire.view(play_pb2.Game).FromString(row.message))


def _stored(row: PlayRow) -> StoredPlay:
    play = convert.play_from_message(wire.view(play_pb2.Play).FromString(row.message))
    return StoredPlay(play, row.revision, row.created, row.completed)


def _batches(session: Session, game_id: str, play_id: str) -> list[Samples]:
    query = select(BatchRow.samples).filter_by(game_id=game_id, play_id=play_id).order_by(BatchRow.batch_id)
    return [_unpack(blob) for blob in session.scalars(query)]


def _pack(samples: Samples) -> bytes:
    return zstandard.compress(convert.samples_to_message(samples).SerializeToString(), 3)


def _unpack(blob: bytes) -> Samples:
    message = wire.view(samples_pb2.Samples).FromString(zstandard.decompress(blob))
    return convert.samples_from_message(message) if message.sample_count else Samples.empty()


def _counts(reasons: NDArray[np.uint8]) -> dict[Reason, int]:
    return {Reason(reason): count for reason, count in Counter(reasons.tolist()).most_common()}
