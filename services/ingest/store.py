"""Plays and their samples, kept on disk."""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, bindparam, func, insert, select, tuple_, update
from sqlalchemy.orm import Session

from ghostback import convert, wire
from ghostback.play import Game, Play, PlayState, Samples, game_name, play_name
from ghostback.tracking.v1 import play_pb2, samples_pb2
from services.common.errors import NotFound
from services.ingest.database import Database
from services.ingest.ledger import Judgement, Ledger, judge
from services.ingest.rules import Limits, Reason, Roster
from services.ingest.schema import BatchRow, GameRow, PlayRow, QuarantineRow

_LEDGER_BYTES = 64 * 2**20
_JUDGED_TOGETHER = 40_000

PlayKey = tuple[str, str]
"""Ids of a game and of a play in it."""


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


@dataclass(slots=True)
class _Known:
    """A ledger, and the numbers of edits and writes of the play that it is of."""

    edits: int
    writes: int
    ledger: Ledger


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
        self._ledgers: OrderedDict[PlayKey, _Known] = OrderedDict()
        self._database = Database(url)
        self._packers = ThreadPoolExecutor(2, "pack")

    def close(self) -> None:
        """Close the database."""
        self._packers.shutdown()
        self._database.close()

    def put_game(self, game: Game) -> None:
        """Create a game or replace it."""
        with self._database.session() as session:
            session.merge(GameRow(game_id=game.game_id, message=convert.game_to_message(game).SerializeToString()))

    def game(self, game_id: str) -> Game:
        """A game.

        Raises:
            NotFound: there is none of that id.
        """
        with self._database.session() as session:
            return _game(_existing_game(session, game_id))

    def games(self, after: str, limit: int) -> list[Game]:
        """Games in order of id, from after an id on."""
        with self._database.session() as session:
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
        with self._database.session() as session:
            _existing_game(session, play.game_id, lock=True)
            row = session.get(PlayRow, (play.game_id, play.play_id), with_for_update=True)
            if row is None:
                row = PlayRow(game_id=play.game_id, play_id=play.play_id, revision=1, edits=0, writes=0)
                row.created = (
                    session.scalar(select(func.max(PlayRow.created)).filter_by(game_id=play.game_id)) or 0
                ) + 1
                session.add(row)
            elif row.completed is not None:
                row.revision += 1
            row.message = message.SerializeToString()
            row.edits += 1
            if over:
                row.completed = (
                    session.scalar(select(func.max(PlayRow.completed)).filter_by(game_id=play.game_id)) or 0
                ) + 1
            session.flush()
            return _stored(row)

    def play(self, game_id: str, play_id: str) -> StoredPlay:
        """A play without samples.

        Raises:
            NotFound: there is none of that id.
        """
        with self._database.session() as session:
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

    def append(self, batches: Sequence[tuple[PlayKey, Samples]]) -> list[Receipt | NotFound]:
        """Judge batches and store them, in one transaction. When this returns, they are on disk.

        Returns:
            What became of each; an error for those of plays that do not exist.

        Raises:
            ResourceExhausted: the disk is full; nothing was kept.
            Unavailable: the database cannot be reached; nothing was kept.
        """
        of_play: dict[PlayKey, list[int]] = defaultdict(list)
        for i, (key, _) in enumerate(batches):
            of_play[key].append(i)
        results: dict[int, Receipt | NotFound] = {}
        try:
            with self._database.session() as session:
                found = self._lock_plays(session, sorted(of_play))
                for key in of_play.keys() - found.keys():
                    name = play_name(*key)
                    results |= dict.fromkeys(of_play[key], NotFound("PLAY_UNKNOWN", f"there is no play {name}", name))
                known = [key for key in of_play if key in found]
                if not known:
                    return [results[i] for i in range(len(batches))]
                joined = [_joined([batches[i][1] for i in of_play[key]]) for key in known]
                self._recall(session, found)
                packed = [self._packers.submit(_pack, samples) for samples in joined]
                judgements = self._judge(known, joined)
                self._insert(session, known, joined, judgements, packed)
                self._count_writes(session, known)
                for key, judgement in zip(known, judgements, strict=True):
                    results |= _receipts(of_play[key], [len(batches[i][1]) for i in of_play[key]], judgement)
        except BaseException:
            for key in of_play:
                self._ledgers.pop(key, None)
            raise
        n_bytes = sum(known.ledger.n_bytes for known in self._ledgers.values())
        while n_bytes > _LEDGER_BYTES and len(self._ledgers) > 1:
            n_bytes -= self._ledgers.popitem(last=False)[1].ledger.n_bytes
        return [results[i] for i in range(len(batches))]

    def samples(self, game_id: str, play_id: str) -> Samples:
        """The clean samples of a play, ordered by frame, then tag."""
        with self._database.session() as session:
            key = game_id, play_id
            return _joined(_batches(session, BatchRow, [key]).get(key, [])).sorted_by_frame()

    def quality(self, game_id: str, play_id: str | None) -> Receipt:
        """What became of all samples of a play, or of a game.

        Raises:
            NotFound: there is no such play or game.
        """
        with self._database.session() as session:
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
        with self._database.session() as session:
            _existing_play(session, game_id, play_id)
            query = select(QuarantineRow).filter_by(game_id=game_id, play_id=play_id)
            found = session.scalars(query.order_by(QuarantineRow.id)).all()
            samples = Samples.concatenate([_unpack(row.samples) for row in found])
            reasons = np.frombuffer(b"".join(row.reasons for row in found), np.uint8)
            page = slice(start, start + limit)
            return samples.take(page), reasons[page], len(samples) > start + limit

    def _plays(self, game_id: str, order: Any, after: int, limit: int) -> list[StoredPlay]:
        with self._database.session() as session:
            _existing_game(session, game_id)
            query = select(PlayRow).filter_by(game_id=game_id).where(order > after).order_by(order).limit(limit)
            return [_stored(row) for row in session.scalars(query)]

    def _lock_plays(self, session: Session, keys: Sequence[PlayKey]) -> dict[PlayKey, PlayRow]:
        """Those of the plays that exist; nobody else writes to them in this transaction."""
        query = select(PlayRow).where(_is_of(PlayRow, keys)).order_by(PlayRow.game_id, PlayRow.play_id)
        return {(row.game_id, row.play_id): row for row in session.scalars(query.with_for_update())}

    def _judge(self, plays: list[PlayKey], samples: list[Samples]) -> list[Judgement]:
        """Judge the samples of each play; some plays together, as many as fit the processor's cache."""
        judgements: list[Judgement] = []
        n_samples = np.cumsum([len(each) for each in samples])
        for chunk in np.split(np.arange(len(plays)), np.flatnonzero(np.diff(n_samples // _JUDGED_TOGETHER)) + 1):
            judgements += judge([(self._ledgers[plays[i]].ledger, samples[i]) for i in chunk], self._limits)
        return judgements

    def _insert(
        self,
        session: Session,
        plays: list[PlayKey],
        samples: list[Samples],
        judgements: list[Judgement],
        packed: list[Future[bytes]],
    ) -> None:
        """Add the clean samples of each play as one row, and the quarantined ones as another.

        What was packed while it was judged is of use where all of it is clean.
        """
        clean, quarantine = [], []
        for (game_id, play_id), sent, judgement, whole in zip(plays, samples, judgements, packed, strict=True):
            where = {"game_id": game_id, "play_id": play_id}
            faulty = judgement.reasons != Reason.FIT
            fit = ~faulty & ~judgement.duplicate
            accepted, duplicates = int(fit.sum()), int(judgement.duplicate.sum())
            if accepted or duplicates:
                blob = whole.result() if accepted == len(sent) else _pack(sent.take(fit))
                clean.append({**where, "samples": blob, "accepted": accepted, "duplicates": duplicates})
            if faulty.any():
                reasons = judgement.reasons[faulty].tobytes()
                quarantine.append({**where, "samples": _pack(sent.take(faulty)), "reasons": reasons})
        for table, rows in ((BatchRow, clean), (QuarantineRow, quarantine)):
            if rows:
                session.connection().execute(insert(table.__table__), rows)  # type: ignore[arg-type]

    def _count_writes(self, session: Session, plays: list[PlayKey]) -> None:
        """Count a write to each play, so that ledgers that another server keeps are known to be old."""
        if not plays:
            return
        table = PlayRow.__table__
        own = (table.c.game_id == bindparam("game")) & (table.c.play_id == bindparam("play"))
        statement = update(table).where(own).values(writes=table.c.writes + 1)  # type: ignore[arg-type]
        session.connection().execute(statement, [{"game": game, "play": play} for game, play in plays])
        for key in plays:
            self._ledgers[key].writes += 1

    def _recall(self, session: Session, plays: dict[PlayKey, PlayRow]) -> None:
        """Have the ledgers of plays in memory; those not there, or out of date, are made from what is stored."""
        for key in plays.keys() & self._ledgers.keys():
            if (self._ledgers[key].edits, self._ledgers[key].writes) != (plays[key].edits, plays[key].writes):
                del self._ledgers[key]
        lost = plays.keys() - self._ledgers.keys()
        written = [key for key in lost if plays[key].writes]
        clean = _batches(session, BatchRow, written) if written else {}
        quarantined = _batches(session, QuarantineRow, written) if written else {}
        for key in lost:
            ledger = Ledger(*_roster(plays[key].message), self._limits.frames)
            if key in clean or key in quarantined:
                ledger.recall(_joined(clean.get(key, [])), _joined(quarantined.get(key, [])))
            self._ledgers[key] = _Known(plays[key].edits, plays[key].writes, ledger)
        for key in plays:
            self._ledgers.move_to_end(key)


def _joined(parts: list[Samples]) -> Samples:
    """The rows of all parts, without a copy where there is one."""
    return parts[0] if len(parts) == 1 else Samples.concatenate(parts)


def _receipts(batches: Sequence[int], lengths: Sequence[int], judgement: Judgement) -> dict[int, Receipt]:
    """Receipt of each batch of a play, by its number."""
    receipts = {}
    end = 0
    for i, length in zip(batches, lengths, strict=True):
        part = slice(end, end := end + length)
        reasons, duplicates = judgement.reasons[part], int(judgement.duplicate[part].sum())
        faulty = reasons[reasons != Reason.FIT]
        receipts[i] = Receipt(length - len(faulty) - duplicates, duplicates, _counts(faulty))
    return receipts


def _existing_game(session: Session, game_id: str, lock: bool = False) -> GameRow:
    row = session.get(GameRow, game_id, with_for_update=lock)
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


def _roster(message: bytes) -> tuple[Roster, float]:
    """Tags and sample rate of a play, straight from its message."""
    play = play_pb2.Play.FromString(message)
    player = play_pb2.PARTICIPANT_KIND_PLAYER
    return Roster({tag: p.kind == player for p in play.participants for tag in p.tag_ids}), play.sample_rate_hz


def _is_of(
    table: type[PlayRow] | type[BatchRow] | type[QuarantineRow], plays: Sequence[PlayKey]
) -> ColumnElement[bool]:
    return tuple_(table.game_id, table.play_id).in_(plays)


def _batches(
    session: Session, table: type[BatchRow] | type[QuarantineRow], plays: Sequence[PlayKey]
) -> dict[PlayKey, list[Samples]]:
    """Samples of plays as they were stored, in order of arrival."""
    found: defaultdict[PlayKey, list[Samples]] = defaultdict(list)
    query = select(table.game_id, table.play_id, table.samples).where(_is_of(table, plays)).order_by(table.id)
    for game_id, play_id, blob in session.execute(query):
        found[game_id, play_id].append(_unpack(blob))
    return found


def _pack(samples: Samples) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(convert.samples_to_message(samples).SerializeToString())


def _unpack(blob: bytes) -> Samples:
    message = wire.view(samples_pb2.Samples).FromString(zstandard.decompress(blob))
    return convert.samples_from_message(message) if message.sample_count else Samples.empty()


def _counts(reasons: NDArray[np.uint8]) -> dict[Reason, int]:
    return {Reason(reason): count for reason, count in Counter(reasons.tolist()).most_common()}
