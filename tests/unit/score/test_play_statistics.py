"""The statistics of a play: whom each is of, and what it counts."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from ghostback.play import PassOutcome, Play, PlayState
from services.common.errors import FailedPrecondition, Unavailable
from services.score import trajectories
from services.score.decisions import DRAWS, Forecast, Options
from services.score.evaluation import Ghosts
from services.score.statistics import Arrival, Kind, Run, Statistic, of_play, yards_after_catch
from simulator.game import simulate_game

GAME = simulate_game(4, 40)
CAUGHT = next(p for p in GAME.plays if p.forward_pass and p.forward_pass.outcome is PassOutcome.COMPLETE)
DROPPED = next(p for p in GAME.plays if p.forward_pass and p.forward_pass.outcome is PassOutcome.INCOMPLETE)
RUN = next(play for play in GAME.plays if play.forward_pass is None)
VERSIONS = ("models/pass-outcome/versions/1.0.0",)


class Forecasts:
    """Gives forecasts that a test chose."""

    def __init__(self, completion: float = 0.6, at_arrival: float = 0.7, yards: float = 4.0) -> None:
        self.completion, self.at_arrival, self.yards = completion, at_arrival, yards
        self.problem: Exception | None = None

    async def options(self, play: Play, draws: int = DRAWS) -> Options:
        chances = np.array([self.completion])
        forecasts = [
            Forecast(each.participant_id, chances, np.zeros(1), 5.0 * i, 0, np.ones((1, 1)))
            for i, each in enumerate(play.eligible_receivers())
        ]
        return Options(tuple(forecasts), VERSIONS)

    async def arrival(self, play: Play) -> Arrival:
        if self.problem:
            raise self.problem
        backs = [each.participant_id for each in play.defensive_backs()]
        return Arrival(self.at_arrival, 0.1, dict.fromkeys(backs, self.at_arrival + 0.1), VERSIONS)

    async def run(self, play: Play) -> Run:
        return Run(self.yards, VERSIONS)

    async def ghosts(self, play: Play, model: str) -> Ghosts:
        actual = trajectories.actual(play)
        return Ghosts("models/ghosting/versions/2.0.0", 1, {name: path + 1.0 for name, path in actual.paths.items()})


def of(play: Play, forecasts: Forecasts) -> dict[Kind, list[Statistic]]:
    found: dict[Kind, list[Statistic]] = {}
    for each in asyncio.run(of_play(play, forecasts)):
        found.setdefault(each.kind, []).append(each)
    return found


def test_a_completion_counts_one_less_its_probability_for_passer_and_receiver() -> None:
    found = of(CAUGHT, Forecasts())
    thrown = CAUGHT.forward_pass
    assert thrown
    [completion], [catch] = found[Kind.COMPLETION], found[Kind.CATCH]
    assert (completion.participant_id, completion.position) == (thrown.thrower_id, "QB")
    assert (completion.value, completion.actual, completion.expected) == pytest.approx((0.4, 1.0, 0.6))
    assert catch.participant_id == thrown.target_id
    assert catch.value == pytest.approx(0.3)
    assert completion.model_versions == VERSIONS


def test_an_incompletion_counts_nothing_less_its_probability_and_no_run() -> None:
    found = of(DROPPED, Forecasts())
    assert found[Kind.COMPLETION][0].value == pytest.approx(-0.6)
    assert found[Kind.CATCH][0].value == pytest.approx(-0.7)
    assert Kind.YARDS_AFTER_CATCH not in found


def test_an_interception_is_no_completion() -> None:
    assert CAUGHT.forward_pass
    intercepted = replace(CAUGHT, forward_pass=replace(CAUGHT.forward_pass, outcome=PassOutcome.INTERCEPTED))
    assert of(intercepted, Forecasts())[Kind.COMPLETION][0].actual == 0


def test_each_defensive_back_is_credited_with_what_his_ghost_would_have_allowed_more() -> None:
    found = of(CAUGHT, Forecasts())[Kind.COVERAGE]
    assert {each.participant_id for each in found} == {each.participant_id for each in CAUGHT.defensive_backs()}
    assert [each.value for each in found] == pytest.approx([0.1] * len(found))


def test_separation_is_of_the_back_nearest_at_arrival_beside_his_ghost() -> None:
    [found] = of(CAUGHT, Forecasts())[Kind.SEPARATION]
    actual = trajectories.actual(CAUGHT)
    gaps = {name: float(np.linalg.norm(path[-1] - actual.receiver[-1])) for name, path in actual.paths.items()}
    assert found.participant_id == min(gaps, key=lambda name: gaps[name])
    assert found.actual == pytest.approx(min(gaps.values()))
    assert found.value == pytest.approx(found.expected - found.actual)


def test_the_decision_is_the_passers_and_at_most_zero() -> None:
    [found] = of(CAUGHT, Forecasts())[Kind.DECISION]
    assert CAUGHT.forward_pass
    assert found.participant_id == CAUGHT.forward_pass.thrower_id
    assert found.value == pytest.approx(found.actual - found.expected)
    assert found.value <= 0


def test_a_run_after_the_catch_counts_what_it_was_beyond_what_was_expected() -> None:
    ran = yards_after_catch(CAUGHT)
    assert ran is not None
    assert of(CAUGHT, Forecasts(yards=4.0))[Kind.YARDS_AFTER_CATCH][0].value == pytest.approx(ran - 4.0)


def test_yards_after_the_catch_are_those_of_the_field_whichever_way_the_offense_moves() -> None:
    mirrored = replace(CAUGHT, offense_direction=-CAUGHT.offense_direction)
    assert yards_after_catch(mirrored) == pytest.approx(-(yards_after_catch(CAUGHT) or 0))


def test_yards_after_the_catch_end_at_the_goal_line() -> None:
    goal = 110 if CAUGHT.offense_direction > 0 else 10
    past = CAUGHT.samples.x + CAUGHT.offense_direction * 200
    assert yards_after_catch(replace(CAUGHT, samples=replace(CAUGHT.samples, x=past))) == 0
    thrown = CAUGHT.forward_pass
    assert thrown
    receiver = CAUGHT.participant(thrown.target_id)
    assert receiver
    at = np.isin(CAUGHT.samples.tag_id, receiver.tag_ids) & (CAUGHT.samples.frame == thrown.arrived_frame)
    caught = float(CAUGHT.samples.x[at][0])
    scores = np.where(CAUGHT.samples.frame > thrown.arrived_frame, past, CAUGHT.samples.x).astype(np.float32)
    ran = yards_after_catch(replace(CAUGHT, samples=replace(CAUGHT.samples, x=scores)))
    assert ran == pytest.approx(abs(goal - caught), abs=1e-4)


def test_a_play_that_does_not_tell_when_it_ended_has_no_run() -> None:
    endless = replace(CAUGHT, events=tuple(event for event in CAUGHT.events if event.name == "pass_arrived"))
    assert yards_after_catch(endless) is None


def test_without_a_down_the_other_statistics_are_there() -> None:
    unknown = replace(CAUGHT, situation=replace(CAUGHT.situation, down=0))
    found = of(unknown, Forecasts())
    assert Kind.DECISION not in found
    assert Kind.COMPLETION in found


def test_what_one_statistic_lacks_does_not_take_the_others_away() -> None:
    forecasts = Forecasts()
    forecasts.problem = FailedPrecondition("TRACKS_INCOMPLETE", "no samples", "")
    found = of(CAUGHT, forecasts)
    assert Kind.CATCH not in found
    assert {Kind.COMPLETION, Kind.SEPARATION, Kind.YARDS_AFTER_CATCH} <= found.keys()


def test_what_does_not_answer_is_told_and_nothing_is_computed_by_halves() -> None:
    forecasts = Forecasts()
    forecasts.problem = Unavailable("UPSTREAM_UNAVAILABLE", "predict does not answer")
    with pytest.raises(Unavailable):
        of(CAUGHT, forecasts)


@pytest.mark.parametrize("play", [RUN, replace(CAUGHT, state=PlayState.LIVE)], ids=["a run", "a live play"])
def test_plays_without_a_pass_or_not_over_have_none(play: Play) -> None:
    with pytest.raises(FailedPrecondition, match=r"no forward pass|not complete"):
        of(play, Forecasts())
