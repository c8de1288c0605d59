"""Judging the arms of rollouts: how well each predicted passes that are over now, beside the stable arm."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
import structlog

from ghostback.play import Play
from services.common.errors import (
    DeadlineExceeded,
    DomainError,
    FailedPrecondition,
    ResourceExhausted,
    Unavailable,
)
from services.score import evaluation, metrics, profiles, trajectories
from services.score.evaluation import Ghosts, Paths
from services.score.trajectories import Actual

_log = structlog.get_logger()
_AWAY = (Unavailable, DeadlineExceeded, ResourceExhausted)
_ASKED_AGAIN = 5


@dataclass(frozen=True, slots=True)
class Rollout:
    """A rollout that has not ended.

    Attributes:
        name: its resource name.
        started: when it began; only plays that are completed later are judged.
        stable: resource name of the stable arm's model version.
        arms: those of the other arms that still get plays, by arm.
    """

    name: str
    started: datetime
    stable: str
    arms: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Quality:
    """How well ghosts foretold a play: average displacement error, yards, and mean trajectory score."""

    ade: float
    score: float


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

    async def record(self, rollout: str, judgements: Sequence[Judgement]) -> None:
        """Report judgements; one that was reported before changes nothing."""
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

    What does not answer is asked again from the same play on, so that nothing is lost; what was judged before is
    ignored where it is recorded, so that several judges, or one that starts anew, count nothing twice.
    """

    def __init__(self, upstreams: Upstreams, seconds: float) -> None:
        """Judge.

        Args:
            upstreams: where everything comes from and goes.
            seconds: how often to ask which rollouts there are, and how long to wait for what does not answer.
        """
        self._upstreams = upstreams
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
        started, resume = self._rollouts[name].started, ""
        while True:
            try:
                async with aclosing(self._upstreams.completed(started, resume)) as completed:
                    async for play, after in completed:
                        if evaluation.passes([play]):
                            await self._judge(self._rollouts[name], play.name)
                        resume = after
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
            actual = trajectories.actual(play)
            ghosts, _ = await self._ghosts(play, rollout.arms)
            stable = (await self._upstreams.ghosts(play, rollout.stable)).paths
            for _ in range(_ASKED_AGAIN):
                silent = {arm: version for arm, version in rollout.arms.items() if arm not in ghosts}
                more, away = await self._ghosts(play, silent)
                ghosts |= more
                if not away:
                    break
                await asyncio.sleep(self._seconds)
            for arm in rollout.arms.keys() - ghosts.keys():
                _log.info("arm not judged", rollout=rollout.name, play=name, arm=arm)
            judgements = [Judgement(name, arm, *compare(actual, [stable, paths])) for arm, paths in ghosts.items()]
            await self._upstreams.record(rollout.name, judgements)
        except _AWAY:
            raise
        except DomainError as error:
            _log.info("play not judged", rollout=rollout.name, play=name, problem=error.message)
        except Exception:
            _log.exception("play not judged", rollout=rollout.name, play=name)

    async def _ghosts(self, play: Play, arms: Mapping[str, str]) -> tuple[dict[str, Paths], bool]:
        """What the arms that answer foretell, by arm; and whether one is away that may be back soon."""
        found, away = {}, False
        for arm, version in arms.items():
            try:
                found[arm] = (await self._upstreams.ghosts(play, version)).paths
            except DomainError as error:
                _log.info("arm silent", play=play.name, arm=arm, problem=error.message)
                away |= isinstance(error, _AWAY)
        return found, away
