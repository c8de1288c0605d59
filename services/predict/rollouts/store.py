"""Rollouts, their evidence and their log, kept in the database that all replicas share."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session
from sqlalchemy.sql.functions import Function

from services.common.database import Database
from services.common.errors import Aborted, FailedPrecondition, NotFound
from services.predict.rollouts.machine import Rollout, State, name_of
from services.predict.rollouts.policy import Policy
from services.predict.rollouts.schema import MIGRATIONS, EventRow, JudgementRow, RolloutRow, StableRow, TallyRow
from services.predict.rollouts.tally import Pairs, Tally


@dataclass(frozen=True, slots=True)
class Judgement:
    """How stable and an arm predicted a play that is over: ADE in yards, mean trajectory score in yards a step.

    Where they forecast chances and draw no ghosts, their loss counts alone.
    """

    play: str
    arm: str
    stable_ade: float
    arm_ade: float
    stable_ts: float
    arm_ts: float
    stable_loss: float | None = None
    arm_loss: float | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that is done to a rollout: who did what, why, and the evidence then, as JSON."""

    actor: str
    action: str
    reason: str
    evidence: str = ""


class Store:
    """What replicas know together. Every method is one transaction, and raises Unavailable without the database."""

    def __init__(self, url: str) -> None:
        """Open the database, and make its tables where they are missing.

        Args:
            url: SQLAlchemy's; `sqlite://` is in memory, for one thread.

        Raises:
            OSError: the database cannot be opened.
        """
        self._database = Database(url, MIGRATIONS, alone=False)
        dialect = sqlite if self._database.engine.dialect.name == "sqlite" else postgresql
        self._insert = dialect.insert

    def check(self) -> None:
        """Raise Unavailable if the database cannot be reached."""
        self._database.check()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def pin(self, versions: Mapping[str, str]) -> None:
        """Put a version of each model into service, unless one is: from then on only rollouts change that."""
        rows = [{"model": model, "version": version} for model, version in versions.items()]
        if rows:
            with self._database.session() as session:
                session.execute(self._insert(StableRow).values(rows).on_conflict_do_nothing())

    def in_service(self) -> tuple[dict[str, str], list[Rollout]]:
        """The stable version of each model, and the active rollouts, one of a model at most."""
        with self._database.snapshot() as session:
            stable = {row.model: row.version for row in session.scalars(select(StableRow))}
            return stable, [_rollout(row) for row in session.scalars(select(RolloutRow).filter_by(active=True))]

    def create(self, policy: Policy, event: Event, now: datetime) -> Rollout:
        """Start a rollout.

        Raises:
            NotFound: there is no such model.
            FailedPrecondition: another rollout of the model is active.
        """
        with self._database.session() as session:
            stable = session.scalar(select(StableRow).filter_by(model=policy.model).with_for_update())
            if stable is None:
                name = f"models/{policy.model}"
                raise NotFound("MODEL_VERSION_UNKNOWN", f"there is no model {policy.model!r}", name)
            active = session.scalar(select(RolloutRow).filter_by(model=policy.model, active=True))
            if active:
                raise _in_the_way(policy.model, active.number, "is active; promote, abort or roll back that one first")
            number = self._latest(session, policy.model) + 1
            rollout = Rollout(number=number, policy=policy, stable=stable.version, created=now, since=now)
            session.add(
                RolloutRow(
                    model=policy.model, number=number, revision=1, active=True, document=rollout.model_dump_json()
                )
            )
            _log(session, None, rollout, event, now)
            return rollout

    def change(self, before: Rollout, after: Rollout, event: Event, now: datetime) -> Rollout:
        """Replace a rollout by what it becomes, if nobody else did.

        Raises:
            Aborted: somebody else changed it meanwhile.
            FailedPrecondition: it has succeeded and would be undone, but a later rollout is there.
        """
        model, number = before.policy.model, before.number
        after = after.model_copy(update={"revision": before.revision + 1})
        with self._database.session() as session:
            changed = session.execute(
                update(RolloutRow)
                .filter_by(model=model, number=number, revision=before.revision)
                .values(revision=after.revision, active=after.active, document=after.model_dump_json())
                .returning(RolloutRow.number)
            )
            if changed.scalar() is None:
                raise outdated(_rollout(_row(session, model, number)))
            if State.SUCCEEDED in (before.state, after.state):
                latest = self._latest(session, model)
                if latest != number:
                    raise _in_the_way(model, latest, f"came after {number}; roll that one back first")
                session.execute(update(StableRow).filter_by(model=model).values(version=after.in_service))
            _log(session, before, after, event, now)
        return after

    def get(self, model: str, number: int) -> Rollout:
        """A rollout.

        Raises:
            NotFound: there is none of that number.
        """
        with self._database.snapshot() as session:
            return _rollout(_row(session, model, number))

    def rollouts(self, model: str, active_only: bool, skip: int, limit: int) -> list[Rollout]:
        """Rollouts of a model, or of all where that is empty; the latest first."""
        query = select(RolloutRow).order_by(RolloutRow.number.desc(), RolloutRow.model).offset(skip).limit(limit)
        query = query.filter_by(**({"model": model} if model else {}), **({"active": True} if active_only else {}))
        with self._database.snapshot() as session:
            return [_rollout(row) for row in session.scalars(query)]

    def events(self, model: str, number: int, before: int, limit: int) -> list[EventRow]:
        """What was done to rollouts, the latest first.

        Args:
            model: of this model; of all where it is empty.
            number: to this rollout of the model; to all where it is 0.
            before: only events with a lower id; all where it is 0.
            limit: how many at most.
        """
        query = select(EventRow).order_by(EventRow.id.desc()).limit(limit)
        query = query.filter_by(**({"model": model} if model else {}), **({"number": number} if number else {}))
        if before:
            query = query.filter(EventRow.id < before)
        with self._database.snapshot() as session:
            found = list(session.scalars(query))
            session.expunge_all()
            return found

    def next_number(self, model: str) -> int:
        """The number that the next rollout of a model gets."""
        with self._database.snapshot() as session:
            return self._latest(session, model) + 1

    def count(self, replica: str, rollout: Rollout, tallies: Mapping[str, Tally]) -> None:
        """Replace what a replica has counted of the arms of a rollout."""
        key = {"model": rollout.policy.model, "number": rollout.number, "replica": replica}
        with self._database.session() as session:
            for arm, tally in tallies.items():
                session.merge(TallyRow(**key, arm=arm, document=tally.model_dump_json()))

    def judge(self, rollout: Rollout, judgements: Sequence[Judgement]) -> int:
        """Record judgements.

        Returns:
            How many of them were new; a pair of play and arm counts once.
        """
        key = {"model": rollout.policy.model, "number": rollout.number}
        with self._database.session() as session:
            new = 0
            for each in judgements:
                values = {name: getattr(each, name) for name in Judgement.__slots__}
                statement = self._insert(JudgementRow).values(**key, **values).on_conflict_do_nothing()
                new += len(session.execute(statement.returning(JudgementRow.play)).all())
            return new

    def tallies(self, rollout: Rollout) -> dict[str, Tally]:
        """What all replicas counted of each arm, and what was judged."""
        key = {"model": rollout.policy.model, "number": rollout.number}
        found: dict[str, Tally] = defaultdict(Tally)
        with self._database.snapshot() as session:
            for row in session.scalars(select(TallyRow).filter_by(**key)):
                found[row.arm] += Tally.model_validate_json(row.document)
            ade = _sums(JudgementRow.arm_ade, JudgementRow.stable_ade)
            ts = _sums(JudgementRow.arm_ts, JudgementRow.stable_ts)
            loss = _sums(JudgementRow.arm_loss, JudgementRow.stable_loss)
            told = func.count(JudgementRow.arm_loss)
            query = select(JudgementRow.arm, func.count(), told, *ade, *ts, *loss).group_by(JudgementRow.arm)
            query = query.where(JudgementRow.model == rollout.policy.model, JudgementRow.number == rollout.number)
            for arm, n, n_loss, *values in map(tuple, session.execute(query)):
                if n_loss:
                    found[arm] += Tally(loss=_pairs(n_loss, values[10:]))
                else:
                    found[arm] += Tally(ade=_pairs(n, values[:5]), ts=_pairs(n, values[5:10]))
        return dict(found)

    @staticmethod
    def _latest(session: Session, model: str) -> int:
        return session.scalar(select(func.max(RolloutRow.number)).filter_by(model=model)) or 0


def outdated(current: Rollout) -> Aborted:
    """What somebody is told who acts on a rollout that was changed meanwhile."""
    return Aborted(
        "ROLLOUT_CHANGED",
        f"{current.name} was changed by somebody else: it is {current.state} at revision {current.revision} now",
        etag=str(current.revision),
    )


def _in_the_way(model: str, number: int, why: str) -> FailedPrecondition:
    name = name_of(model, number)
    return FailedPrecondition("ROLLOUT_IN_THE_WAY", f"{name} {why}", name)


def _row(session: Session, model: str, number: int) -> RolloutRow:
    row = session.get(RolloutRow, (model, number))
    if row is None:
        name = name_of(model, number)
        raise NotFound("ROLLOUT_UNKNOWN", f"there is no rollout {name}", name)
    return row


def _rollout(row: RolloutRow) -> Rollout:
    return Rollout.model_validate_json(row.document)


def _log(session: Session, before: Rollout | None, after: Rollout, event: Event, now: datetime) -> None:
    session.execute(
        insert(EventRow).values(
            model=after.policy.model,
            number=after.number,
            time=now.astimezone(UTC),
            actor=event.actor,
            action=event.action,
            reason=event.reason,
            before=before.model_dump_json() if before else "",
            after=after.model_dump_json(),
            evidence=event.evidence,
        )
    )


def _sums(candidate: Mapped[Any], stable: Mapped[Any]) -> tuple[Function[float], ...]:
    """The sums of `Pairs`, but for their number, in its order."""
    products = (candidate, stable, candidate * candidate, candidate * stable, stable * stable)
    return tuple(func.sum(product) for product in products)


def _pairs(n: int, sums: Sequence[float]) -> Pairs:
    return Pairs.model_validate(dict(zip(Pairs.model_fields, (n, *sums), strict=True)))
