"""What is kept, the statistics and how far rollouts were judged, in the database that all replicas share."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.orm import Session, aliased

from ghostback.play import Game, Play, play_name
from services.common.database import Database
from services.score.leaderboards import SCALE, By, Selection, Sums
from services.score.schema import MIGRATIONS, JudgedRow, KeptPlayRow, PositionRow, StatisticRow
from services.score.statistics import Kind, Statistic

_SUCCESSOR = aliased(KeptPlayRow)


@dataclass(frozen=True, slots=True)
class KeptStatistic:
    """A statistic that is kept.

    Attributes:
        id: counts in the order of keeping.
        play: resource name of the play.
        revision: the play's revision that it was computed from.
        statistic: what is known.
        created: when it was kept.
        superseded: when a later revision of the play came in its place; None for those that count.
    """

    id: int
    play: str
    revision: int
    statistic: Statistic
    created: datetime
    superseded: datetime | None


@dataclass(frozen=True, slots=True)
class KeptPlay:
    """A revision of a play with what is kept of it.

    Attributes:
        sequence: counts in the order of keeping.
        play: resource name of the play.
        revision: of the play.
        corrected: whether it is in the place of an earlier revision that was kept.
        statistics: what is kept, also if it was superseded since.
    """

    sequence: int
    play: str
    revision: int
    corrected: bool
    statistics: tuple[Statistic, ...]


class Store:
    """What replicas keep together; for any number of threads.

    Every method is one transaction, and raises Unavailable without the database.
    """

    def __init__(self, url: str) -> None:
        """Open the database, and make its tables where they are missing.

        Args:
            url: SQLAlchemy's; `sqlite://` is in memory.

        Raises:
            OSError: the database cannot be opened.
        """
        self._database = Database(url, MIGRATIONS, alone=False)
        self._one_at_a_time = threading.Lock() if url == "sqlite://" else nullcontext()

    def check(self) -> None:
        """Raise Unavailable if the database cannot be reached."""
        with self._one_at_a_time:
            self._database.check()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def resume_token(self) -> str:
        """What to resume from after the last play kept; empty at first."""
        with self._snapshot() as session:
            return session.scalars(select(PositionRow.resume_token)).one()

    def keep(self, play: Play, game: Game, revision: int, statistics: Sequence[Statistic], resume_token: str) -> None:
        """Keep what is known of a revision of a play in the place of what was kept of earlier ones.

        Nothing but the token changes where that revision or a later one is kept already.

        Args:
            play: the play.
            game: its game.
            revision: its revision.
            statistics: what is known of that, maybe nothing.
            resume_token: what to resume from after this play.
        """
        key = {"game_id": play.game_id, "play_id": play.play_id}
        with self._one_at_a_time, self._database.session() as session:
            position = session.scalars(select(PositionRow).with_for_update()).one()
            position.resume_token = resume_token
            kept = session.scalar(select(func.max(KeptPlayRow.revision)).filter_by(**key))
            if kept is not None and kept >= revision:
                return
            row = KeptPlayRow(**key, revision=revision, season=game.season, week=game.week, time=datetime.now(UTC))
            session.add(row)
            session.flush()
            earlier = update(KeptPlayRow).filter_by(**key, superseded_by=None).where(KeptPlayRow.revision < revision)
            session.execute(earlier.values(superseded_by=row.sequence))
            if statistics:
                session.execute(insert(StatisticRow), [_row(row.sequence, play, each) for each in statistics])

    def judged(self, rollout: str, started: datetime) -> str:
        """What to resume from after the last play judged for a rollout that began then; empty at first."""
        with self._snapshot() as session:
            row = session.get(JudgedRow, (rollout, started))
            return row.resume_token if row else ""

    def keep_judged(self, rollout: str, started: datetime, resume_token: str) -> None:
        """Keep what to resume from after the last play judged for a rollout that began then."""
        with self._one_at_a_time, self._database.session() as session:
            session.merge(JudgedRow(rollout=rollout, started=started, resume_token=resume_token))

    def of(self, game_id: str, play_id: str, superseded: bool, after: int, limit: int) -> list[KeptStatistic]:
        """Statistics in the order of keeping.

        Args:
            game_id: of this game.
            play_id: of this play of it; of all where it is empty.
            superseded: whether also those are given that do not count any more.
            after: only those with a higher id.
            limit: how many at most.
        """
        query = (
            select(StatisticRow, KeptPlayRow, _SUCCESSOR.time)
            .join(KeptPlayRow, StatisticRow.sequence == KeptPlayRow.sequence)
            .outerjoin(_SUCCESSOR, KeptPlayRow.superseded_by == _SUCCESSOR.sequence)
            .where(StatisticRow.id > after, KeptPlayRow.game_id == game_id)
            .order_by(StatisticRow.id)
            .limit(limit)
        )
        if play_id:
            query = query.where(KeptPlayRow.play_id == play_id)
        if not superseded:
            query = query.where(KeptPlayRow.superseded_by.is_(None))
        with self._snapshot() as session:
            return [_kept(row, play, until) for row, play, until in session.execute(query)]

    def latest(self) -> int:
        """Sequence of the play that was kept last; 0 at first."""
        with self._snapshot() as session:
            return session.scalar(select(func.max(KeptPlayRow.sequence))) or 0

    def kept_after(self, sequence: int, game_id: str, limit: int) -> list[KeptPlay]:
        """Plays in the order of keeping, also those that were superseded since.

        Args:
            sequence: only those with a higher one.
            game_id: of this game; of all where it is empty.
            limit: how many at most.
        """
        query = (
            select(KeptPlayRow, select(_SUCCESSOR).filter_by(superseded_by=KeptPlayRow.sequence).exists())
            .where(KeptPlayRow.sequence > sequence)
            .order_by(KeptPlayRow.sequence)
            .limit(limit)
        )
        if game_id:
            query = query.where(KeptPlayRow.game_id == game_id)
        with self._snapshot() as session:
            plays = session.execute(query).all()
            found: dict[int, list[Statistic]] = {play.sequence: [] for play, _ in plays}
            rows = select(StatisticRow).where(StatisticRow.sequence.in_(found)).order_by(StatisticRow.id)
            for row in session.scalars(rows):
                found[row.sequence].append(_statistic(row))
            return [
                KeptPlay(play.sequence, _name(play), play.revision, corrected, tuple(found[play.sequence]))
                for play, corrected in plays
            ]

    def sums(self, selection: Selection, as_of: int) -> list[Sums]:
        """What the values of each player, team or position add up to.

        Args:
            selection: which statistics count.
            as_of: as after the play of that sequence was kept, whatever was kept since.
        """
        who = (StatisticRow.display_name, StatisticRow.team_id, StatisticRow.position)
        column, *about = {
            By.PLAYER: (StatisticRow.player_id, *who),
            By.TEAM: (StatisticRow.team_id,),
            By.POSITION: (StatisticRow.position,),
        }[selection.by]
        values = (StatisticRow.value, StatisticRow.value * StatisticRow.value)
        latest = func.max(KeptPlayRow.season * 100 + KeptPlayRow.week)
        query = select(column, func.count(), *map(func.sum, values), latest, *about)
        query = query.join(KeptPlayRow, StatisticRow.sequence == KeptPlayRow.sequence)
        query = query.where(column != "", *_conditions(selection, as_of)).group_by(column, *about)
        with self._snapshot() as session:
            rows = session.execute(query).all()
        found: dict[str, Sums] = {}
        for name, attempts, total, squares, _, *known in sorted(rows, key=lambda row: tuple(row[4:])):
            display_name, team_id, position = {
                By.PLAYER: known,
                By.TEAM: (name, name, ""),
                By.POSITION: (name, "", name),
            }[selection.by]
            before = found.get(name, Sums(name))
            found[name] = Sums(
                name,
                display_name,
                team_id,
                position,
                before.attempts + attempts,
                before.total + int(total),
                before.squares + int(squares),
            )
        return list(found.values())

    @contextmanager
    def _snapshot(self) -> Iterator[Session]:
        with self._one_at_a_time, self._database.snapshot() as session:
            yield session


def _conditions(selection: Selection, as_of: int) -> list[ColumnElement[bool]]:
    conditions = [
        StatisticRow.kind == selection.kind,
        KeptPlayRow.sequence <= as_of,
        KeptPlayRow.superseded_by.is_(None) | (KeptPlayRow.superseded_by > as_of),
    ]
    if selection.season:
        conditions.append(KeptPlayRow.season == selection.season)
    if selection.first_week:
        conditions.append(KeptPlayRow.week >= selection.first_week)
    if selection.last_week:
        conditions.append(KeptPlayRow.week <= selection.last_week)
    if selection.team_ids:
        conditions.append(StatisticRow.team_id.in_(selection.team_ids))
    if selection.positions:
        conditions.append(StatisticRow.position.in_(selection.positions))
    return conditions


def _row(sequence: int, play: Play, known: Statistic) -> dict[str, Any]:
    who = play.participant(known.participant_id)
    return {
        "sequence": sequence,
        "kind": known.kind.value,
        "participant_id": known.participant_id,
        "player_id": (who and who.league_player_id) or known.participant_id,
        "display_name": known.display_name,
        "team_id": known.team_id,
        "position": known.position,
        "value": round(known.value * SCALE),
        "actual": known.actual,
        "expected": known.expected,
        "model_versions": json.dumps(known.model_versions),
    }


def _statistic(row: StatisticRow) -> Statistic:
    return Statistic(
        Kind(row.kind),
        row.participant_id,
        row.display_name,
        row.team_id,
        row.position,
        row.value / SCALE,
        row.actual,
        row.expected,
        tuple(json.loads(row.model_versions)),
    )


def _kept(row: StatisticRow, play: KeptPlayRow, until: datetime | None) -> KeptStatistic:
    created, superseded = _utc(play.time), until and _utc(until)
    return KeptStatistic(row.id, _name(play), play.revision, _statistic(row), created, superseded)


def _name(play: KeptPlayRow) -> str:
    return play_name(play.game_id, play.play_id)


def _utc(time: datetime) -> datetime:
    """SQLite forgets the zone."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time
