"""Judging the arms of rollouts: how well each predicted passes that are over now, beside the stable arm."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

import numpy as np
import structlog

from ghostback.play import Play
from services.common.errors import DomainError, FailedPrecondition, may_pass
from services.score import evaluation, metrics, profiles, trajectories
from services.score.evaluation import Ghosts, Paths
from services.score.trajectories import Actual

T = TypeVar("T")

GHOSTING = "ghosting"
"""The task of models whose ghosts are judged; other tasks forecast chances."""
_log = structlog.get_logger()
_ASKED_AGAIN = 5


@dataclass(frozen=True, slots=True)
class Rollout:
    """A rollout that has not ended.

    Attributes:
        name: its resource name.
        started: when it began; only plays that are completed later are judged.
        stable: resource name of the stable arm's model version.
        arms: those of the other arms that still get plays, by arm.
        task: what its model does.
    """

    name: str
    started: datetime
    stable: str
    arms: Mapping[str, str]
    task: str = GHOSTING


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a play was foretold.

    Attributes:
        ade: average displacement error of ghosts, yards.
        score: their mean trajectory score.
        loss: of a forecast of chances; None of ghosts.
    """

    ade: float = 0.0
    score: float = 0.0
    loss: float | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """An arm and the stable arm on the same play and the same defenders."""

    play: str
    arm: str
    stable: Quality
    candidate: Quality


class Upstreams(Protocol):
    """Where rollouts, plays and ghosts come from, and where judgements go; every method raises DomainError."""

    async def rollouts(self) -> Sequence[Rollout]:
        """The rollouts that have not ended."""
        ...

    def completed(self, after: datetime, resume: str) -> AsyncGenerator[tuple[Play, str], None]:
        """Plays completed after a time, without samples, each with what to resume from after it; waits for more."""
        ...

    async def play(self, name: str) -> Play:
        """A play with samples."""
        ...

    async def ghosts(self, play: Play, model: str) -> Ghosts:
        """Ghosts of every defensive back for the receiver who was targeted."""
        ...

    async def loss(self, play: Play, task: str, model: str) -> float:
        """Loss of the forecast of what became of the receiver who was targeted, lower is better."""
        ...

    async def record(self, rollout: str, judgements: Sequence[Judgement]) -> None:
        """Report judgements; one that was reported before changes nothing."""
        ...


class Store(Protocol):
    """Where it is kept how far each rollout was judged."""

    def judged(self, rollout: str, started: datetime) -> str:
        """What to resume from after the last play judged for a rollout that began then; empty at first."""
        ...

    def keep_judged(self, rollout: str, started: datetime, resume_token: str) -> object:
        """Keep what to resume from."""
        ...


def compare(actual: Actual, ghosts: Sequence[Paths]) -> list[Quality]:
    """How well each of some sets of ghosts foretold a play, on the defenders that all of them have.

    Raises:
        FailedPrecondition: there is no such defender.
    """
    common = [name for name in actual.paths if all(name in each for each in ghosts)]
    if not common:
        raise FailedPrecondition("TRACKS_INCOMPLETE", "no defensive back is tracked and predicted throughout", "")
    went = np.stack([actual.paths[name] for name in common])
    found = []
    for each in ghosts:
        paths = np.stack([each[name] for name in common])
        missed = np.linalg.norm(paths - went, axis=-1)[:, 1:]
        scores = metrics.score_trajectories(paths, actual.receiver, profiles.DEFAULT)
        found.append(Quality(float(missed.mean()), float(scores.score.mean())))
    return found


class Judge:
    """Judges every pass that is completed while a rollout runs, in the background.

    What does not answer is asked again from the same play on, so that nothing is lost, and one that starts anew goes
    on after the last play judged. What was judged before is ignored where it is recorded, so that several judges
    count nothing twice.
    """

    def __init__(self, upstreams: Upstreams, store: Store, seconds: float) -> None:
        """Judge.

        Args:
            upstreams: where everything comes from and goes.
            store: where it is kept how far each rollout was judged; it is used in threads.
            seconds: how often to ask which rollouts there are, and how long to wait for what does not answer.
        """
        self._upstreams = upstreams
        self._store = store
        self._seconds = seconds
        self._rollouts: dict[str, Rollout] = {}

    async def run(self) -> None:
        """Judge until cancelled."""
        following: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    self._rollouts = {rollout.name: rollout for rollout in await self._upstreams.rollouts()}
                except DomainError as error:
                    _log.debug("rollouts unknown", problem=error.message)
                for name in self._rollouts.keys() - following.keys():
                    following[name] = group.create_task(self._follow(name))
                for name in following.keys() - self._rollouts.keys():
                    following.pop(name).cancel()
                await asyncio.sleep(self._seconds)

    async def _follow(self, name: str) -> None:
        """Judge the plays of one rollout, in the order of their completion."""
        started = self._rollouts[name].started
        while True:
            try:
                resume = await asyncio.to_thread(self._store.judged, name, started)
                async with aclosing(self._upstreams.completed(started, resume)) as completed:
                    async for play, after in completed:
                        if evaluation.passes([play]):
                            await self._judge(self._rollouts[name], play.name)
                        await asyncio.to_thread(self._store.keep_judged, name, started, after)
            except DomainError as error:
                _log.info("judging waits", rollout=name, problem=error.message)
            await asyncio.sleep(self._seconds)

    async def _judge(self, rollout: Rollout, name: str) -> None:
        """Judge one play, unless it cannot be judged for a reason of its own.

        An arm that did not answer is asked again once the stable arm did, and a few times more where it is only away:
        after a crash of the model server stable may be back first. It is to blame then, and is not judged.

        Raises:
            DomainError: something does not answer.
        """
        try:
            play = await self._upstreams.play(name)
            if rollout.task == GHOSTING:
                judgements = await self._by_ghosts(rollout, play)
            else:
                judgements = await self._by_loss(rollout, play)
            for arm in rollout.arms.keys() - {each.arm for each in judgements}:
                _log.info("arm not judged", rollout=rollout.name, play=name, arm=arm)
            await self._upstreams.record(rollout.name, judgements)
        except DomainError as error:
            if may_pass(error):
                raise
            _log.info("play not judged", rollout=rollout.name, play=name, problem=error.message)
        except Exception:
            _log.exception("play not judged", rollout=rollout.name, play=name)

    async def _by_ghosts(self, rollout: Rollout, play: Play) -> list[Judgement]:
        actual = trajectories.actual(play)

        async def ask(version: str) -> Paths:
            return (await self._upstreams.ghosts(play, version)).paths

        stable, arms = await self._told(rollout, play, ask)
        return [Judgement(play.name, arm, *compare(actual, [stable, paths])) for arm, paths in arms.items()]

    async def _by_loss(self, rollout: Rollout, play: Play) -> list[Judgement]:
        async def ask(version: str) -> float:
            return await self._upstreams.loss(play, rollout.task, version)

        stable, arms = await self._told(rollout, play, ask)
        return [Judgement(play.name, arm, Quality(loss=stable), Quality(loss=loss)) for arm, loss in arms.items()]

    async def _told(self, rollout: Rollout, play: Play, ask: Callable[[str], Awaitable[T]]) -> tuple[T, dict[str, T]]:
        """What stable foretells, and the arms that answer, by arm."""
        found, _ = await self._arms(play, rollout.arms, ask)
        stable = await ask(rollout.stable)
        for _ in range(_ASKED_AGAIN):
            silent = {arm: version for arm, version in rollout.arms.items() if arm not in found}
            more, away = await self._arms(play, silent, ask)
            found |= more
            if not away:
                break
            await asyncio.sleep(self._seconds)
        return stable, found

    async def _arms(
        self, play: Play, arms: Mapping[str, str], ask: Callable[[str], Awaitable[T]]
    ) -> tuple[dict[str, T], bool]:
        """What the arms that answer foretell, by arm; and whether one is away that may be back soon."""
        found, away = dict[str, T](), False
        for arm, version in arms.items():
            try:
                found[arm] = await ask(version)
            except DomainError as error:
                _log.info("arm silent", play=play.name, arm=arm, problem=error.message)
                away |= may_pass(error)
        return found, away
