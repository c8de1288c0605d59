"""Statistics of a play: what somebody did beyond what was expected."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from ghostback.play import Pass, PassOutcome, Play, PlayState
from services.common.errors import FailedPrecondition, InvalidInput, NotFound, may_pass
from services.score import decisions, trajectories
from services.score.evaluation import Ghosts

ENDS = ("tackle", "out_of_bounds", "touchdown", "pass_outcome_touchdown", "fumble", "qb_slide")
"""Events that end a run after the catch."""


class Kind(StrEnum):
    """What is counted; the formulas are in `docs/statistics.md`."""

    COMPLETION = "completion"
    CATCH = "catch"
    YARDS_AFTER_CATCH = "yards_after_catch"
    DECISION = "decision"
    SEPARATION = "separation"
    COVERAGE = "coverage"


@dataclass(frozen=True, slots=True)
class Statistic:
    """A statistic of one play.

    Attributes:
        kind: what is counted.
        participant_id: whom it is of.
        display_name: his name for people.
        team_id: his team.
        position: his position.
        value: what is ranked by, in the kind's unit; more is better.
        actual: what happened, or was chosen.
        expected: what was expected, or was best.
        model_versions: resource names of those that it rests on.
    """

    kind: Kind
    participant_id: str
    display_name: str
    team_id: str
    position: str
    value: float
    actual: float
    expected: float
    model_versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Arrival:
    """How likely a catch was as the ball arrived.

    Attributes:
        completion: its probability.
        interception: that of an interception.
        by_defender: that of a catch with each defensive back's ghost in his place, by participant id.
        model_versions: resource names of those that made this.
    """

    completion: float
    interception: float
    by_defender: Mapping[str, float]
    model_versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """How far a run after the catch was expected to go, yards, and by which model versions."""

    expected: float
    model_versions: tuple[str, ...]


class Upstreams(decisions.Upstreams, Protocol):
    """Where forecasts come from; every method raises DomainError."""

    async def arrival(self, play: Play) -> Arrival:
        """Forecast of the pass as it arrived."""
        ...

    async def run(self, play: Play) -> Run:
        """Forecast of the run after the catch."""
        ...

    async def ghosts(self, play: Play, model: str) -> Ghosts:
        """Ghosts of every defensive back for the receiver who was targeted."""
        ...


async def of_play(play: Play, upstreams: Upstreams) -> list[Statistic]:
    """The statistics of a play, as many as it has what they need for.

    Args:
        play: a complete play, with samples.
        upstreams: where forecasts come from.

    Raises:
        FailedPrecondition: the play is not complete or has no pass; or lacks what any of them needs.
        DomainError: something does not answer.
    """
    thrown = play.forward_pass
    if play.state is not PlayState.COMPLETE or thrown is None:
        told = "has no forward pass" if play.state is PlayState.COMPLETE else f"is {play.state.lower()}, not complete"
        raise FailedPrecondition("PLAY_WITHOUT_PASS", f"{play.name} {told}", play.name)
    parts = [_thrown, _arrived]
    if thrown.target_id:
        parts.append(_covered)
    if thrown.outcome is PassOutcome.COMPLETE:
        parts.append(_ran)
    found = await asyncio.gather(*(part(play, thrown, upstreams) for part in parts), return_exceptions=True)
    problems = [each for each in found if isinstance(each, BaseException)]
    for problem in problems:
        if not isinstance(problem, FailedPrecondition | InvalidInput | NotFound) or may_pass(problem):
            raise problem
    if len(problems) == len(parts):
        raise problems[0]
    return [statistic for each in found if not isinstance(each, BaseException) for statistic in each]


async def _thrown(play: Play, thrown: Pass, upstreams: Upstreams) -> list[Statistic]:
    """What the passer did: whether it was caught, and how he chose."""
    options = await upstreams.options(play)
    statistics = []
    target = next((each for each in options.forecasts if each.target_id == thrown.target_id), None)
    if target and thrown.outcome:
        expected = float(target.completion[0])
        statistics.append(
            _of(play, thrown.thrower_id, Kind.COMPLETION, options.model_versions, _caught(thrown), expected)
        )
    with suppress(FailedPrecondition):
        decision = decisions.decide(play, thrown.forward_frame, options.forecasts)
        if chosen := decision.of(decision.chosen_id):
            best = decision.options[0].value
            statistics.append(_of(play, thrown.thrower_id, Kind.DECISION, options.model_versions, chosen.value, best))
    return statistics


async def _arrived(play: Play, thrown: Pass, upstreams: Upstreams) -> list[Statistic]:
    """What receiver and defensive backs made of the pass."""
    arrival = await upstreams.arrival(play)
    versions = arrival.model_versions
    statistics = [
        _of(play, name, Kind.COVERAGE, versions, arrival.completion, with_ghost, less_is_more=True)
        for name, with_ghost in arrival.by_defender.items()
    ]
    if thrown.outcome:
        statistics.append(_of(play, thrown.target_id, Kind.CATCH, versions, _caught(thrown), arrival.completion))
    return statistics


async def _covered(play: Play, thrown: Pass, upstreams: Upstreams) -> list[Statistic]:
    """What the defensive back nearest to the receiver left him, beside his ghost."""
    actual, ghosts = trajectories.actual(play), await upstreams.ghosts(play, "")
    common = [name for name in actual.paths if name in ghosts.paths]
    if not common:
        return []
    left = {name: float(np.linalg.norm(actual.paths[name][-1] - actual.receiver[-1])) for name in common}
    nearest = min(common, key=left.__getitem__)
    expected = float(np.linalg.norm(ghosts.paths[nearest][-1] - actual.receiver[-1]))
    versions = (ghosts.model_version,)
    return [_of(play, nearest, Kind.SEPARATION, versions, left[nearest], expected, less_is_more=True)]


async def _ran(play: Play, thrown: Pass, upstreams: Upstreams) -> list[Statistic]:
    """What the receiver made of the catch."""
    yards = yards_after_catch(play)
    if yards is None:
        return []
    run = await upstreams.run(play)
    return [_of(play, thrown.target_id, Kind.YARDS_AFTER_CATCH, run.model_versions, yards, run.expected)]


def yards_after_catch(play: Play) -> float | None:
    """Yards along the field that the receiver ran from the catch to the end of the play; None where it does not tell.

    They end at the goal line, and none are run by who catches it beyond.

    Args:
        play: a completed pass, with samples.
    """
    thrown = play.forward_pass
    receiver = play.participant(thrown.target_id) if thrown else None
    if thrown is None or receiver is None:
        return None
    ends = [event.frame for event in play.events if event.name in ENDS and event.frame >= thrown.arrived_frame]
    own = np.isin(play.samples.tag_id, np.array(receiver.tag_ids, np.uint64))
    places = [play.samples.x[own & (play.samples.frame == frame)] for frame in (thrown.arrived_frame, *ends[:1])]
    if not ends or not all(len(each) for each in places):
        return None
    left = [decisions.to_end_zone(play, float(each.mean())) for each in places]
    caught, stopped = np.maximum(left, 0.0).tolist()
    return float(caught - stopped)


def _caught(thrown: Pass) -> float:
    return float(thrown.outcome is PassOutcome.COMPLETE)


def _of(
    play: Play,
    participant_id: str,
    kind: Kind,
    versions: tuple[str, ...],
    actual: float,
    expected: float,
    less_is_more: bool = False,
) -> Statistic:
    who = play.participant(participant_id)
    value = expected - actual if less_is_more else actual - expected
    return Statistic(
        kind,
        participant_id,
        who.display_name if who else "",
        who.team_id if who else "",
        who.position if who else "",
        value,
        actual,
        expected,
        versions,
    )
