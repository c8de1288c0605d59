"""Scoring a model on all passes of a game, beside what the players did."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ghostback.play import Play, PlayState
from services.common.errors import DomainError
from services.score import metrics, trajectories
from services.score.profiles import ScoreProfile
from services.score.spoiling import spoil

Paths = Mapping[str, NDArray[np.float64]]

CONCURRENT_PLAYS = 4


class Subject(Enum):
    """Whose trajectories are scored."""

    ACTUAL = "actual"
    MODEL = "model"
    MODEL_SPOILED = "model, spoiled"


@dataclass(frozen=True)
class Ghosts:
    """What a model predicts for the receiver who was targeted.

    Attributes:
        model_version: resource name of the model version.
        setting: number of the contract's `Setting`.
        paths: (n_steps + 1, 2) yards, by defender.
    """

    model_version: str
    setting: int
    paths: Paths


class Upstreams(Protocol):
    """Where an evaluation gets its plays and ghosts from."""

    async def play(self, name: str) -> Play:
        """A play with samples."""
        ...

    async def ghosts(self, play: Play, model: str) -> Ghosts:
        """Ghosts of every defensive back for the receiver who was targeted."""
        ...


@dataclass(frozen=True)
class _Pass:
    """Trajectories of one pass.

    Attributes:
        receiver: (n_steps + 1, 2) yards, as he ran, whatever a live model took him to do.
        paths: (n_defenders, n_steps + 1, 2) yards, of each subject, of the same defenders.
    """

    receiver: NDArray[np.float64]
    paths: Mapping[Subject, NDArray[np.float64]]


@dataclass
class _Total:
    trajectories: list[float] = field(default_factory=list)
    plays: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Score:
    """Scores of one subject under one profile.

    Attributes:
        subject: whose trajectories.
        profile: the profile.
        trajectory_scores: TS of every trajectory.
        play_scores: of every play.
    """

    subject: Subject
    profile: ScoreProfile
    trajectory_scores: NDArray[np.float64]
    play_scores: NDArray[np.float64]


@dataclass(frozen=True)
class Evaluation:
    """What came out.

    Attributes:
        model_version: resource name of the model version, empty when no pass could be scored.
        setting: number of the contract's `Setting`.
        scores: by subject and profile, all on the same trajectories.
        skipped: passes left out, with the reason.
    """

    model_version: str
    setting: int
    scores: Sequence[Score]
    skipped: Mapping[str, str]


def passes(plays: Sequence[Play]) -> list[Play]:
    """The plays to evaluate on: passes that are over and count."""
    return [play for play in plays if play.state is PlayState.COMPLETE and play.forward_pass]


async def evaluate(
    plays: Sequence[Play],
    model: str,
    profiles: Sequence[ScoreProfile],
    spoiled_fraction: float,
    seed: int,
    upstreams: Upstreams,
    report: Callable[[int, int], None],
) -> Evaluation:
    """Score a model on passes.

    Args:
        plays: the passes, samples not needed.
        model: resource name of a model version.
        profiles: the readings of the score.
        spoiled_fraction: share of defenders spoiled in the spoiled run; 0 leaves it out.
        seed: of the spoiling.
        upstreams: where plays and ghosts come from.
        report: called with the passes done and to do.

    Raises:
        DomainError: an upstream does not answer, or the model is unknown. A pass that cannot be
            scored for a reason of its own is skipped instead.
    """
    totals: defaultdict[tuple[Subject, str], _Total] = defaultdict(_Total)
    skipped: dict[str, str] = {}
    made_by: tuple[str, int] = ("", 0)
    limit = asyncio.Semaphore(CONCURRENT_PLAYS)
    done = 0

    async def follow(name: str) -> _Pass | str:
        nonlocal done, made_by
        async with limit:
            try:
                followed, made_by = await _follow(name, model, spoiled_fraction, seed, upstreams)
            except DomainError as error:
                if error.reason not in _REASONS_OF_A_PLAY:
                    raise
                return error.message
            finally:
                done += 1
                report(done, len(plays))
            return followed

    try:
        async with asyncio.TaskGroup() as group:
            tasks = {play.name: group.create_task(follow(play.name)) for play in plays}
    except* DomainError as errors:
        raise errors.exceptions[0] from None
    for name, task in tasks.items():
        followed = task.result()
        if isinstance(followed, str):
            skipped[name] = followed
            continue
        for subject, paths in followed.paths.items():
            for profile in profiles:
                scores = metrics.score_trajectories(paths, followed.receiver, profile)
                total = totals[subject, profile.id]
                total.trajectories.extend(scores.score.tolist())
                total.plays.append(metrics.play_score(scores, profile))
    by_id = {profile.id: profile for profile in profiles}
    return Evaluation(
        *made_by,
        [Score(s, by_id[p], np.array(t.trajectories), np.array(t.plays)) for (s, p), t in totals.items()],
        skipped,
    )


_REASONS_OF_A_PLAY = {"TRACKS_INCOMPLETE", "TARGET_UNKNOWN", "TARGET_NOT_ELIGIBLE", "PASS_TOO_LONG"}


async def _follow(
    name: str, model: str, spoiled_fraction: float, seed: int, upstreams: Upstreams
) -> tuple[_Pass | str, tuple[str, int]]:
    """Trajectories of the defenders that all subjects have, and what made the ghosts."""
    play = await upstreams.play(name)
    actual = trajectories.actual(play)
    predicted: dict[Subject, Awaitable[Ghosts]] = {Subject.MODEL: upstreams.ghosts(play, model)}
    if spoiled_fraction:
        predicted[Subject.MODEL_SPOILED] = upstreams.ghosts(spoil(play, spoiled_fraction, seed), model)
    ghosts = dict(zip(predicted, await asyncio.gather(*predicted.values()), strict=True))
    made_by = (ghosts[Subject.MODEL].model_version, ghosts[Subject.MODEL].setting)
    common = [defender for defender in actual.paths if all(defender in each.paths for each in ghosts.values())]
    if not common:
        return f"{name} has no defensive back who is tracked throughout", made_by
    paths = {Subject.ACTUAL: actual.paths} | {subject: each.paths for subject, each in ghosts.items()}
    return (
        _Pass(actual.receiver, {s: np.stack([each[name] for name in common]) for s, each in paths.items()}),
        made_by,
    )
