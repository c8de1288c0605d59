"""The passer's decision: what a pass to each receiver is worth, and what the choice left on the field."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ghostback.play import FIELD_LENGTH, ParticipantKind, Pass, Play, PlayState
from services.common.errors import FailedPrecondition, InvalidInput, Violation
from services.score.points import Situation

Floats = NDArray[np.float64]

DRAWS = 16
"""How often ghosts are drawn to tell how sure a value is."""
_GOAL_LINE = FIELD_LENGTH - 10.0
_WITHIN = (5, 95)
"""Percentiles between which a value lies with a probability of 90%."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """How a pass to a receiver would end; first as the ghosts have it, then for each of n draws of them.

    Attributes:
        target_id: the receiver.
        completion: (1 + n,) probability that he catches it.
        interception: (1 + n,) probability that a defender does.
        air_yards: from the line of scrimmage to where it comes down, along the field, yards.
        first_yards: yards after the catch that the first column of `yards` is of.
        yards: (1 + n, n_yards) probability of each number of yards after the catch, were it caught.
    """

    target_id: str
    completion: Floats
    interception: Floats
    air_yards: float
    first_yards: int
    yards: Floats

    @property
    def each_yards(self) -> Floats:
        """(n_yards,) the yards after the catch that probabilities are told of."""
        return self.first_yards + np.arange(self.yards.shape[1], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Options:
    """How passes to the receivers of a play would end, at the throw.

    Attributes:
        forecasts: one a receiver who could be thrown to.
        model_versions: resource names of those that made them.
    """

    forecasts: tuple[Forecast, ...]
    model_versions: tuple[str, ...]


class Upstreams(Protocol):
    """Where forecasts come from; every method raises DomainError."""

    async def options(self, play: Play, draws: int = DRAWS) -> Options:
        """Forecasts of passes to every eligible receiver, made as the ball leaves the hand."""
        ...


@dataclass(frozen=True, slots=True)
class Option:
    """A receiver that could be thrown to, and what for; fields as of `ghostback.score.v1.DecisionOption`."""

    target_id: str
    completion: float
    interception: float
    air_yards: float
    yards_after_catch: float
    value: float
    low: float
    high: float
    best_probability: float


@dataclass(frozen=True, slots=True)
class Left:
    """Value of the option chosen less that of the best, points, at most 0, and where it lies with 90%."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Decision:
    """The options at a frame.

    Attributes:
        frame: the frame.
        options: the best first.
        chosen_id: whom the ball was thrown to; empty where that is not known.
        left: what the choice left on the field; None where none is known.
        explanation: all this in plain words.
    """

    frame: int
    options: tuple[Option, ...]
    chosen_id: str
    left: Left | None
    explanation: str

    def of(self, target_id: str) -> Option | None:
        """The option of a receiver."""
        return next((option for option in self.options if option.target_id == target_id), None)


def situation(play: Play) -> Situation:
    """Where the offense stands before the snap.

    Raises:
        FailedPrecondition: the play does not tell.
    """
    told = play.situation
    if not (told.down and told.line_of_scrimmage):
        missing = "down" if not told.down else "line of scrimmage"
        raise FailedPrecondition("SITUATION_UNKNOWN", f"{play.name} tells no {missing}", play.name)
    return Situation(told.down, told.yards_to_go, to_end_zone(play, told.line_of_scrimmage))


def to_end_zone(play: Play, x: float) -> float:
    """Yards from a place along the field to the end zone that the offense moves toward; negative in it."""
    return float(_GOAL_LINE - x if play.offense_direction > 0 else x - (FIELD_LENGTH - _GOAL_LINE))


def thrown_at(play: Play, frame: int) -> Play:
    """The play as it is at a frame, were the ball thrown then: nothing is known of what comes later.

    Args:
        play: the play, with samples.
        frame: not after the release.

    Raises:
        InvalidInput: the frame is after the release.
        FailedPrecondition: nobody is known who could throw.
    """
    thrown = play.forward_pass
    if thrown and frame > thrown.forward_frame:
        told = f"is {frame}, after the release at {thrown.forward_frame}"
        raise InvalidInput("FIELD_INVALID", [Violation("frames", told)])
    thrower = thrown.thrower_id if thrown else _passer(play)
    return replace(
        play,
        state=PlayState.LIVE,
        events=tuple(event for event in play.events if event.frame <= frame),
        forward_pass=Pass(thrower, "", None, frame, 0),
        samples=play.samples.take(play.samples.frame <= frame),
    )


def _passer(play: Play) -> str:
    for each in play.participants:
        if each.kind is ParticipantKind.PLAYER and each.team_id == play.offense_team and each.position == "QB":
            return each.participant_id
    raise FailedPrecondition("PLAY_WITHOUT_PASS", f"{play.name} has no pass, and no quarterback", play.name)


def decide(play: Play, frame: int, forecasts: Sequence[Forecast]) -> Decision:
    """What each option was worth, and how that of the receiver thrown to compares.

    Value of a pass: P(complete) E[points after the catch and the run] + P(intercepted) points of the opponent there
    + P(incomplete) points after the down is lost, less the points before the snap. A draw of the ghosts gives a value
    of every option; the spread of draws around their mean is what hangs on where the defenders go. (Their mean itself
    is higher: whoever strays leaves room. The models are calibrated for ghosts that do not.)

    Args:
        play: the play; whom it was thrown to is the choice, if it was thrown at the frame.
        frame: when.
        forecasts: one a receiver, at least one, all with as many draws.

    Raises:
        FailedPrecondition: the play tells no down or line of scrimmage.
    """
    before = situation(play)
    each_draw = np.array([_values(before, each) for each in forecasts])
    value, drawn = each_draw[:, 0], each_draw[:, 1:] if each_draw.shape[1] > 1 else each_draw
    drawn = drawn - drawn.mean(1, keepdims=True) + value[:, None]
    ends = np.percentile(drawn, _WITHIN, axis=1)
    best = np.bincount(drawn.argmax(0), minlength=len(forecasts)) / drawn.shape[1]
    options = [
        Option(
            each.target_id,
            float(each.completion[0]),
            float(each.interception[0]),
            each.air_yards,
            float(each.yards[0] @ each.each_yards),
            float(value[i]),
            float(ends[0, i]),
            float(ends[1, i]),
            float(best[i]),
        )
        for i, each in enumerate(forecasts)
    ]
    thrown = play.forward_pass
    targets = [each.target_id for each in forecasts]
    chosen = thrown.target_id if thrown and thrown.forward_frame == frame else ""
    left = None
    if chosen in targets:
        own = targets.index(chosen)
        low, high = np.percentile(drawn[own] - drawn.max(0), _WITHIN)
        left = Left(float(value[own] - value.max()), float(low), float(high))
    else:
        chosen = ""
    ranked = tuple(sorted(options, key=lambda option: -option.value))
    return Decision(frame, ranked, chosen, left, _explained(play, ranked, chosen, left))


async def rate(play: Play, frames: Sequence[int], upstreams: Upstreams) -> tuple[list[Decision], tuple[str, ...]]:
    """What each option was worth at some frames, and the resource names of the model versions that told.

    Args:
        play: the play, with samples.
        frames: none after the release; empty means the release.
        upstreams: where forecasts come from.

    Raises:
        InvalidInput: a frame is after the release.
        FailedPrecondition: there is no pass and no frame, or the play lacks what a decision needs.
        DomainError: something does not answer.
    """
    release = play.forward_pass.forward_frame if play.forward_pass else -1
    if not frames and play.forward_pass is None:
        raise FailedPrecondition("PLAY_WITHOUT_PASS", f"{play.name} has no forward pass; name frames", play.name)
    situation(play)
    rated, versions = [], dict[str, None]()
    for frame in frames or [release]:
        options = await upstreams.options(play if frame == release else thrown_at(play, frame))
        rated.append(decide(play, frame, options.forecasts))
        versions |= dict.fromkeys(options.model_versions)
    return rated, tuple(versions)


def _values(before: Situation, forecast: Forecast) -> Floats:
    """Points (1 + n,) that the pass adds."""
    caught = forecast.yards @ before.after_gain(forecast.air_yards + forecast.each_yards)
    incomplete = float(before.after_gain(np.zeros(1))[0])
    lost = 1.0 - forecast.completion - forecast.interception
    values: Floats = (
        forecast.completion * caught
        + forecast.interception * before.after_interception(forecast.air_yards)
        + lost * incomplete
        - before.worth()
    )
    return values


def _explained(play: Play, ranked: Sequence[Option], chosen: str, left: Left | None) -> str:
    best = ranked[0]
    told = [
        f"Best: {_named(play, best.target_id)}, worth {best.value:+.2f} points: caught {best.completion:.0%},"
        f" intercepted {best.interception:.0%}, {best.air_yards:.0f} yards in the air and"
        f" {best.yards_after_catch:.1f} after the catch; best in {best.best_probability:.0%} of what defenders may do."
    ]
    if left and chosen == best.target_id:
        told.append("That is where the ball went.")
    elif left:
        option = next(each for each in ranked if each.target_id == chosen)
        told.append(
            f"Thrown to {_named(play, chosen)}, worth {option.value:+.2f} (caught {option.completion:.0%}):"
            f" {-left.value:.2f} points left on the field, {-left.high:.2f} to {-left.low:.2f} with 90%."
        )
    return " ".join(told)


def _named(play: Play, participant_id: str) -> str:
    who = play.participant(participant_id)
    return f"{who.display_name or participant_id} ({who.position})" if who else participant_id
