"""Plays and their samples, kept on disk."""

from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from ghostback import convert
from ghostback.play import Game, Play, PlayState, Samples, play_name
from services.common.database import Database
from services.common.errors import NotFound
from services.ingest.ledger import Judgement, Ledger, judge
from services.ingest.policies import Policy, Reason
from services.ingest.reader import Reader
from services.ingest.rejudging import Rejudged, name_strangers, rejudge
from services.ingest.revisions import begin_revision, clear_samples
from services.ingest.rows import (
    Batch,
    PlayKey,
    StoredPlay,
    counts,
    existing_game,
    existing_play,
    is_of,
    joined,
    next_completed,
    pack,
    play_of,
    roster_of,
    samples_of,
)
from services.ingest.schema import MIGRATIONS, BatchRow, GameRow, PlayRow, QuarantineRow, StreamRow

_LEDGER_BYTES = 32 * 2**20
_JUDGED_TOGETHER = 40_000


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


class Store(Reader):
    """Games, plays, samples and quarantine in a database; what is not inherited is for one thread at a time."""

    def __init__(self, url: str, policy: Policy) -> None:
        """Open the database, and make its tables where they are missing.

        Args:
            url: SQLAlchemy's, such as `sqlite:///.run/ingest.db`.
            policy: the cleaning rules.

        Raises:
            OSError: the database cannot be opened, or another server has it open.
        """
        super().__init__(Database(url, MIGRATIONS, alone=True), policy)
        self._ledgers: OrderedDict[PlayKey, _Known] = OrderedDict()
        self._packers = ThreadPoolExecutor(2, "pack")

    def check(self) -> None:
        """Raise Unavailable if the database cannot be reached."""
        self._database.check()

    def close(self) -> None:
        """Close the database."""
        self._packers.shutdown()
        self._database.close()

    def put_game(self, game: Game) -> None:
        """Create a game or replace it."""
        with self._database.session() as session:
            session.merge(GameRow(game_id=game.game_id, message=convert.game_to_message(game).SerializeToString()))

    def put_play(self, play: Play, resend: bool = False) -> StoredPlay:
        """Create a play or replace its metadata. If it was over and that changes it, it gets a new revision.

        Args:
            play: the play; its samples are ignored.
            resend: whether its samples will be sent again: it gets a new revision without any.

        Raises:
            NotFound: the game does not exist.
        """
        message = convert.play_to_message(play)
        message.ClearField("samples")
        over = play.state is not PlayState.LIVE
        with self._database.session() as session:
            existing_game(session, play.game_id, lock=True)
            row = session.get(PlayRow, (play.game_id, play.play_id), with_for_update=True)
            if row is None:
                row = PlayRow(game_id=play.game_id, play_id=play.play_id, revision=1, edits=0, writes=0)
                row.created = (
                    session.scalar(select(func.max(PlayRow.created)).filter_by(game_id=play.game_id)) or 0
                ) + 1
                session.add(row)
            elif resend:
                begin_revision(session, row)
                clear_samples(session, row)
            elif row.message == message.SerializeToString():
                return play_of(row)
            elif row.completed is not None:
                begin_revision(session, row)
            row.message = message.SerializeToString()
            row.edits += 1
            row.completed = next_completed(session) if over else None
            session.flush()
            return play_of(row)

    def append(self, batches: Sequence[Batch]) -> list[Receipt | NotFound]:
        """Judge batches and store them, in one transaction. When this returns, they are on disk.

        Returns:
            What became of each; an error for those of plays that do not exist.

        Raises:
            ResourceExhausted: the disk is full; nothing was kept.
            Unavailable: the database cannot be reached; nothing was kept.
        """
        of_play: dict[PlayKey, list[int]] = defaultdict(list)
        for i, batch in enumerate(batches):
            of_play[batch.play].append(i)
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
                sent = [joined([batches[i].samples for i in of_play[key]]) for key in known]
                self._recall(session, found)
                packed = [self._packers.submit(pack, samples) for samples in sent]
                judgements = self._judge(known, sent)
                for key, samples, judgement in zip(known, sent, judgements, strict=True):
                    name_strangers(session, key, samples, judgement)
                self._insert(session, [found[key] for key in known], sent, judgements, packed)
                self._count_writes(session, known)
                _advance(session, [batch for batch in batches if batch.play in found])
                for key, judgement in zip(known, judgements, strict=True):
                    results |= _receipts(of_play[key], [len(batches[i].samples) for i in of_play[key]], judgement)
        except BaseException:
            for key in of_play:
                self._ledgers.pop(key, None)
            raise
        n_bytes = sum(known.ledger.n_bytes for known in self._ledgers.values())
        while n_bytes > _LEDGER_BYTES and len(self._ledgers) > 1:
            n_bytes -= self._ledgers.popitem(last=False)[1].ledger.n_bytes
        return [results[i] for i in range(len(batches))]

    def judge_again(self, game_id: str, play_id: str) -> Rejudged:
        """Judge all samples of a play again, the quarantined ones too, by the present rules and roster.

        What came too late stays so. If the clean samples change and the play was over, that is a
        new revision of it.

        Raises:
            NotFound: there is no such play.
        """
        key = game_id, play_id
        with self._database.session() as session:
            existing_game(session, game_id, lock=True)
            row = session.get(PlayRow, key, with_for_update=True) or existing_play(session, game_id, play_id)
            result = rejudge(session, row, self._policy)
        self._ledgers.pop(key, None)
        return result

    def _lock_plays(self, session: Session, keys: Sequence[PlayKey]) -> dict[PlayKey, PlayRow]:
        """Those of the plays that exist; nobody else writes to them in this transaction."""
        query = select(PlayRow).where(is_of(PlayRow, keys)).order_by(PlayRow.game_id, PlayRow.play_id)
        return {(row.game_id, row.play_id): row for row in session.scalars(query.with_for_update())}

    def _judge(self, plays: list[PlayKey], samples: list[Samples]) -> list[Judgement]:
        """Judge the samples of each play; some plays together, as many as fit the processor's cache."""
        judgements: list[Judgement] = []
        n_samples = np.cumsum([len(each) for each in samples])
        for chunk in np.split(np.arange(len(plays)), np.flatnonzero(np.diff(n_samples // _JUDGED_TOGETHER)) + 1):
            judgements += judge([(self._ledgers[plays[i]].ledger, samples[i]) for i in chunk], self._policy)
        return judgements

    def _insert(
        self,
        session: Session,
        plays: list[PlayRow],
        samples: list[Samples],
        judgements: list[Judgement],
        packed: list[Future[bytes]],
    ) -> None:
        """Add the clean samples of each play as one row, and the quarantined ones as another.

        What was packed while it was judged is of use where all of it is clean.
        """
        clean: list[dict[str, Any]] = []
        quarantine: list[dict[str, Any]] = []
        for row, sent, judgement, whole in zip(plays, samples, judgements, packed, strict=True):
            where = {"game_id": row.game_id, "play_id": row.play_id, "since": row.revision}
            faulty = judgement.reasons != Reason.FIT
            fit = ~faulty & ~judgement.duplicate
            accepted, duplicates = int(fit.sum()), int(judgement.duplicate.sum())
            if accepted or duplicates:
                blob = whole if accepted == len(sent) else self._packers.submit(pack, sent.take(fit))
                clean.append({**where, "samples": blob, "accepted": accepted, "duplicates": duplicates})
            if faulty.any():
                blob = self._packers.submit(pack, sent.take(faulty))
                quarantine.append({**where, "samples": blob, "reasons": judgement.reasons[faulty].tobytes()})
        for table, rows in ((BatchRow, clean), (QuarantineRow, quarantine)):
            if rows:
                values = [{**row, "samples": row["samples"].result()} for row in rows]
                session.connection().execute(insert(table.__table__), values)  # type: ignore[arg-type]

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
        for key in plays.keys() - self._ledgers.keys():
            ledger = Ledger(*roster_of(plays[key].message), self._policy.limits.frames)
            if plays[key].writes:
                clean, quarantined = (samples_of(session, table, [key]) for table in (BatchRow, QuarantineRow))
                ledger.recall(joined(clean.get(key, [])), joined(quarantined.get(key, [])))
            self._ledgers[key] = _Known(plays[key].edits, plays[key].writes, ledger)
        for key in plays:
            self._ledgers.move_to_end(key)


def _advance(session: Session, stored: Sequence[Batch]) -> None:
    """Note how far named streams are on disk: up to their first batch that is not."""
    of_stream: dict[str, list[int]] = defaultdict(list)
    for batch in stored:
        if batch.stream:
            of_stream[batch.stream].append(batch.sequence)
    for stream, sequences in sorted(of_stream.items()):
        row = session.get(StreamRow, stream, with_for_update=True) or StreamRow(stream=stream, next_sequence=0)
        for sequence in sequences:
            row.next_sequence += sequence == row.next_sequence
        session.add(row)


def _receipts(batches: Sequence[int], lengths: Sequence[int], judgement: Judgement) -> dict[int, Receipt]:
    """Receipt of each batch of a play, by its number."""
    receipts = {}
    end = 0
    for i, length in zip(batches, lengths, strict=True):
        part = slice(end, end := end + length)
        reasons, duplicates = judgement.reasons[part], int(judgement.duplicate[part].sum())
        faulty = reasons[reasons != Reason.FIT]
        receipts[i] = Receipt(length - len(faulty) - duplicates, duplicates, counts(faulty))
    return receipts
