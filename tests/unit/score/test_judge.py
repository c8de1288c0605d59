"""Arms are judged by what happened, on every pass, once, whatever fails meanwhile."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
import pytest

from ghostback.play import Play
from services.common.errors import DomainError, FailedPrecondition, Unavailable
from services.score import judge, metrics, profiles, trajectories
from services.score.evaluation import Ghosts, passes
from services.score.judge import Judge, Judgement, Quality, Rollout
from services.score.store import Store
from simulator.game import simulate_game

PLAYS = simulate_game(21, 12).plays
ROLLOUT = Rollout("models/ghosting/rollouts/1", datetime(2026, 1, 1, tzinfo=UTC), "stable", {"candidate": "candidate"})
FORECASTS = replace(ROLLOUT, name="models/pass-outcome/rollouts/1", task="pass-outcome")
YARDS_OFF = {"stable": 0.25, "candidate": 0.5, "broken": 0.0}
GONE = Unavailable("UPSTREAM_UNAVAILABLE", "gone")


@dataclass
class Suite:
    """Plays, models that are off by a known distance, and what was recorded; each call may fail first."""

    found: Sequence[Rollout] = (ROLLOUT,)
    plays: Sequence[Play] = PLAYS
    failures: dict[str, list[DomainError]] = field(default_factory=dict)
    recorded: dict[tuple[str, str], Judgement] = field(default_factory=dict)
    times: Counter[tuple[str, str]] = field(default_factory=Counter)
    watching: asyncio.Event = field(default_factory=asyncio.Event)
    all_told: asyncio.Event = field(default_factory=asyncio.Event)

    def _fail(self, what: str) -> None:
        if self.failures.get(what):
            raise self.failures[what].pop()

    async def rollouts(self) -> Sequence[Rollout]:
        self._fail("rollouts")
        return self.found

    async def completed(self, after: datetime, resume: str) -> AsyncGenerator[tuple[Play, str], None]:
        assert after == ROLLOUT.started
        self.watching.set()
        try:
            for i, play in enumerate(self.plays):
                if i >= int(resume or 0):
                    self._fail("completed")
                    yield play, str(i + 1)
            self.all_told.set()
            await asyncio.Event().wait()
        finally:
            self.watching.clear()

    async def play(self, name: str) -> Play:
        self._fail("play")
        return next(play for play in self.plays if play.name == name)

    async def ghosts(self, play: Play, model: str) -> Ghosts:
        self._fail(model)
        paths = trajectories.actual(play).paths
        return Ghosts(model, 1, {name: path + np.array([YARDS_OFF[model], 0]) for name, path in paths.items()})

    async def loss(self, play: Play, task: str, model: str) -> float:
        self._fail(model)
        assert task == FORECASTS.task
        return YARDS_OFF[model]

    async def record(self, rollout: str, judgements: Sequence[Judgement]) -> None:
        self._fail("record")
        for each in judgements:
            self.times[each.play, each.arm] += 1
            self.recorded[each.play, each.arm] = each


async def judged(suite: Suite) -> Mapping[tuple[str, str], Judgement]:
    await during(Judge(suite, Store("sqlite://"), 0.001), suite.all_told.wait)
    return suite.recorded


async def during(judge: Judge, happens: Callable[[], Awaitable[object]]) -> None:
    running = asyncio.create_task(judge.run())
    async with asyncio.timeout(20):
        await happens()
    running.cancel()
    await asyncio.wait([running])


def names(plays: Sequence[Play]) -> list[tuple[str, str]]:
    return [(play.name, "candidate") for play in passes(plays)]


async def test_every_pass_is_judged_once_and_the_worse_arm_has_the_worse_evidence() -> None:
    suite = Suite()
    found = await judged(suite)
    assert list(found) == names(PLAYS)
    assert set(suite.times.values()) == {1}
    for each in found.values():
        assert each.stable.ade == pytest.approx(0.25)
        assert each.candidate.ade == pytest.approx(0.5)


@pytest.mark.parametrize("what", ["rollouts", "completed", "play", "stable", "record"])
async def test_what_does_not_answer_delays_judging_and_loses_nothing(what: str) -> None:
    assert list(await judged(Suite(failures={what: [GONE] * 5}))) == names(PLAYS)


async def test_a_play_that_cannot_be_judged_is_left_out_and_the_others_are_judged() -> None:
    first, *others = passes(PLAYS)
    receiver = next(
        p for p in first.participants if first.forward_pass and first.forward_pass.target_id == p.participant_id
    )
    unseen = replace(first, samples=first.samples.take(~np.isin(first.samples.tag_id, receiver.tag_ids)))
    assert list(await judged(Suite(plays=[unseen, *others]))) == names(others)


async def test_forecasts_are_judged_by_their_loss_alone() -> None:
    found = await judged(Suite([FORECASTS]))
    assert list(found) == names(PLAYS)
    assert {(each.stable.loss, each.candidate.loss) for each in found.values()} == {(0.25, 0.5)}


async def test_an_arm_that_fails_where_stable_answers_is_not_judged_there_and_keeps_no_other_waiting() -> None:
    rollout = replace(ROLLOUT, arms={"broken": "broken", "candidate": "candidate"})
    broken: list[DomainError] = [FailedPrecondition("MODEL_VERSION_UNUSABLE", "it fails", ""), GONE] * 50
    assert list(await judged(Suite([rollout], failures={"broken": broken}))) == names(PLAYS)


LOADING = FailedPrecondition("MODEL_VERSION_UNUSABLE", "it is being loaded", "")


@pytest.mark.parametrize("problem", [GONE, LOADING])
@pytest.mark.parametrize("times", [1, 4])
async def test_an_arm_that_is_away_for_a_moment_is_asked_again_once_stable_answers(
    times: int, problem: DomainError
) -> None:
    assert list(await judged(Suite(failures={"candidate": [problem] * times}))) == names(PLAYS)


async def test_no_play_is_lost_while_stable_is_loaded_again_after_a_crash() -> None:
    assert list(await judged(Suite(failures={"stable": [LOADING] * 20}))) == names(PLAYS)


async def test_a_judge_that_starts_anew_goes_on_after_the_last_play_judged() -> None:
    suite, store = Suite(), Store("sqlite://")
    for _ in range(2):
        suite.all_told.clear()
        await during(Judge(suite, store, 0.001), suite.all_told.wait)
    assert suite.times == Counter(names(PLAYS))


async def test_judging_ends_with_the_rollout() -> None:
    suite = Suite()

    async def ended() -> None:
        await suite.all_told.wait()
        suite.found = ()
        while suite.watching.is_set():
            await asyncio.sleep(0)

    await during(Judge(suite, Store("sqlite://"), 0.001), ended)


def test_ghosts_that_come_true_have_no_error_and_the_players_own_score() -> None:
    actual = trajectories.actual(passes(PLAYS)[0])
    scores = metrics.score_trajectories(np.stack(list(actual.paths.values())), actual.receiver, profiles.DEFAULT)
    assert judge.compare(actual, [actual.paths]) == [Quality(0.0, pytest.approx(scores.score.mean()))]


def test_arms_are_compared_on_the_defenders_that_both_have() -> None:
    actual = trajectories.actual(passes(PLAYS)[0])
    first, *others = actual.paths
    far = dict(actual.paths) | {first: actual.paths[first] + 50}
    assert judge.compare(actual, [far, {name: actual.paths[name] for name in others}])[0].ade == 0
    with pytest.raises(FailedPrecondition, match="no defensive back"):
        judge.compare(actual, [far, {}])
