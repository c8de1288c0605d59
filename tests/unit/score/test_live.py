"""Who watches a live play is told what can be known of it as soon as it can be, whatever goes wrong with another."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest

from ghostback.play import Event, Pass, Play
from services.common.errors import FailedPrecondition, Unavailable
from services.score import trajectories
from services.score.decisions import DRAWS, Options
from services.score.live import Live
from services.score.statistics import Arrival
from services.score.store import Store
from services.score.watchers import Known, Moment, Watcher, Watchers
from simulator.game import simulate_game
from tests.unit.score.test_play_statistics import Forecasts

GAME = simulate_game(4, 12)
PASSES = [play for play in GAME.plays if play.forward_pass and play.forward_pass.target_id]
PLAY = PASSES[0]


def thrown(play: Play) -> Pass:
    assert play.forward_pass
    return play.forward_pass


class Suite(Forecasts):
    """Plays that change as a test says, and forecasts of them."""

    def __init__(self) -> None:
        super().__init__()
        self.plays: dict[str, Play] = {}
        self.news: asyncio.Queue[Play | Exception] = asyncio.Queue()
        self.asked: list[tuple[str, Play]] = []
        self.broken = ""
        self.away = 0
        self.answers = asyncio.Event()
        self.answers.set()

    def update(self, play: Play) -> None:
        self.plays[play.name] = play
        self.news.put_nowait(play)

    async def live(self) -> AsyncGenerator[Play, None]:
        while True:
            told = await self.news.get()
            if isinstance(told, Exception):
                raise told
            yield told

    async def revised(self, name: str) -> tuple[Play, int]:
        return self.plays[name], 1

    async def at_throw(self, play: Play) -> tuple[float, float]:
        self._asked("at_throw", play)
        await self.answers.wait()
        if self.away:
            self.away -= 1
            raise Unavailable("UPSTREAM_UNAVAILABLE", "it does not answer")
        return self.completion, 0.02

    async def options(self, play: Play, draws: int = DRAWS) -> Options:
        self._asked("options", play)
        return await super().options(play, draws)

    async def arrival(self, play: Play) -> Arrival:
        self._asked("arrival", play)
        return await super().arrival(play)

    def _asked(self, what: str, play: Play) -> None:
        if play.name == self.broken:
            raise FailedPrecondition("PASS_TOO_LONG", "too long", play.name)
        self.asked.append((what, play))


@asynccontextmanager
async def following(suite: Suite) -> AsyncIterator[Watchers]:
    watchers = Watchers(Store("sqlite://"))
    running = asyncio.create_task(Live(suite, watchers, 0.001).run())
    try:
        yield watchers
    finally:
        running.cancel()
        await asyncio.wait([running])


async def until(watcher: Watcher, told: Callable[[Known], bool]) -> list[Known]:
    """What the watcher is told, up to something."""
    seen: list[Known] = []
    async with asyncio.timeout(10):
        while not any(map(told, seen)):
            await watcher.came.wait()
            seen += watcher.read()
    return seen


def decided(known: Known) -> bool:
    return known.moment is Moment.AT_THROW and known.decision is not None


def arrived(known: Known) -> bool:
    return known.moment is Moment.AT_ARRIVAL


async def test_a_play_is_told_of_before_the_throw_at_it_and_at_arrival() -> None:
    suite, of = Suite(), thrown(PLAY)
    async with following(suite) as watchers:
        with watchers.watched("") as watcher:
            suite.update(PLAY.known_at(of.forward_frame - 5))
            [before] = await until(watcher, lambda known: known.moment is Moment.PRE_THROW)
            suite.update(PLAY.known_at(of.forward_frame))
            throw = (await until(watcher, decided))[-1]
            suite.update(PLAY.known_at(of.arrived_frame))
            [arrival] = await until(watcher, arrived)
    assert (before.frame, before.target_id, before.completion) == (of.forward_frame - 5, "", None)
    assert before.decision
    assert (throw.frame, throw.target_id) == (of.forward_frame, of.target_id)
    assert throw.completion == suite.completion
    assert throw.decision
    assert throw.decision.chosen_id == of.target_id
    assert (arrival.frame, arrival.completion) == (of.arrived_frame, suite.at_arrival)
    assert arrival.play_score is not None
    name = PLAY.participant(of.target_id)
    assert name
    assert all(name.display_name in known.line for known in (throw, arrival))


async def test_at_the_throw_nothing_is_asked_of_what_came_later() -> None:
    suite, of = Suite(), thrown(PLAY)
    async with following(suite) as watchers:
        with watchers.watched("") as watcher:
            suite.update(PLAY.known_at(of.arrived_frame))
            await until(watcher, arrived)
    asked = [play for what, play in suite.asked if what in ("at_throw", "options")]
    assert asked
    for play in asked:
        assert play.samples.frame.max() == of.forward_frame
        assert (thrown(play).arrived_frame, thrown(play).outcome) == (0, None)


async def test_samples_that_come_after_the_news_of_the_throw_are_waited_for() -> None:
    suite, of = Suite(), thrown(PLAY)
    told, early = PLAY.known_at(of.forward_frame), PLAY.known_at(of.forward_frame - 1)
    async with following(suite) as watchers:
        with watchers.watched("") as watcher:
            suite.update(replace(early, forward_pass=told.forward_pass))
            await asyncio.sleep(0.05)
            assert suite.asked == []
            suite.plays[PLAY.name] = told
            assert (await until(watcher, decided))[-1].completion == suite.completion


async def test_watchers_share_one_computation_and_each_gets_its_own_game() -> None:
    suite, of = Suite(), thrown(PLAY)
    async with following(suite) as watchers:
        with (
            watchers.watched("") as first,
            watchers.watched(GAME.game.game_id) as second,
            watchers.watched("other") as other,
        ):
            suite.update(PLAY.known_at(of.arrived_frame))
            assert (await until(first, arrived))[-1] == (await until(second, arrived))[-1]
            assert other.read() == []
    assert [what for what, _ in suite.asked] == ["at_throw", "options", "arrival"]


async def test_nothing_is_computed_where_nobody_watches() -> None:
    suite = Suite()
    async with following(suite) as watchers:
        suite.update(PLAY.known_at(thrown(PLAY).arrived_frame))
        while not suite.news.empty():
            await asyncio.sleep(0)
        with watchers.watched("") as watcher:
            suite.update(PASSES[1].known_at(thrown(PASSES[1]).arrived_frame))
            await until(watcher, arrived)
    assert {play.name for _, play in suite.asked} == {PASSES[1].name}


async def test_a_play_that_cannot_be_told_of_and_an_ingest_that_is_away_stop_nothing() -> None:
    suite, (bad, good) = Suite(), PASSES[:2]
    suite.broken = bad.name
    async with following(suite) as watchers:
        with watchers.watched("") as watcher:
            suite.update(bad.known_at(thrown(bad).arrived_frame))
            suite.news.put_nowait(Unavailable("UPSTREAM_UNAVAILABLE", "it does not answer"))
            suite.update(good.known_at(thrown(good).arrived_frame))
            seen = await until(watcher, arrived)
    assert {known.play for known in seen} == {good.name}


async def test_a_predict_that_is_away_for_a_moment_is_asked_again() -> None:
    suite = Suite()
    suite.away = 2
    async with following(suite) as watchers:
        with watchers.watched("") as watcher:
            suite.update(PLAY.known_at(thrown(PLAY).forward_frame))
            assert (await until(watcher, decided))[-1].completion == suite.completion


async def test_another_target_is_told_of_anew() -> None:
    suite, of = Suite(), thrown(PLAY)
    told = PLAY.known_at(of.forward_frame)
    other = next(each for each in PLAY.eligible_receivers() if each.participant_id != of.target_id)
    async with following(suite) as watchers:
        with watchers.watched("") as watcher:
            for target in ("", of.target_id, other.participant_id):
                suite.update(replace(told, forward_pass=replace(thrown(told), target_id=target)))
                known = (await until(watcher, decided))[-1]
                assert known.target_id == target
                assert (known.completion is None) == (target == "")


async def test_decisions_before_a_throw_wait_for_the_throws_of_others() -> None:
    suite, (first, second) = Suite(), PASSES[:2]
    suite.answers.clear()
    async with following(suite) as watchers:
        with watchers.watched("") as watcher:
            suite.update(first.known_at(thrown(first).forward_frame))
            suite.update(second.known_at(thrown(second).forward_frame - 5))
            while not suite.asked:
                await asyncio.sleep(0)
            suite.answers.set()
            seen = await until(watcher, lambda known: known.moment is Moment.PRE_THROW)
    assert [(what, play.name) for what, play in suite.asked] == [
        ("at_throw", first.name),
        ("options", first.name),
        ("options", second.name),
    ]
    assert any(map(decided, seen[:-1]))


async def test_a_slow_watcher_has_the_latest_of_each_play_and_moment_and_no_more() -> None:
    watcher = Watcher("")
    for frame in range(1000):
        watcher.tell(Known(PLAY.name, 1, Moment.PRE_THROW, frame, ""))
    assert [known.frame for known in watcher.read()] == [999]
    assert watcher.read() == []


def test_a_ball_in_the_air_has_no_trajectories_to_score() -> None:
    with pytest.raises(FailedPrecondition, match="still in the air"):
        trajectories.actual(PLAY.known_at(thrown(PLAY).forward_frame))


async def test_a_frame_that_is_there_in_part_is_not_rated() -> None:
    suite, of = Suite(), thrown(PLAY)
    play = PLAY.known_at(of.forward_frame - 4)
    last = np.flatnonzero(play.samples.frame == of.forward_frame - 4)
    part = replace(play, samples=play.samples.take(np.setdiff1d(np.arange(len(play.samples)), last[3:])))
    async with following(suite) as watchers:
        with watchers.watched("") as watcher:
            suite.update(replace(part, events=(Event("ball_snap", 11),)))
            [known] = await until(watcher, lambda known: known.moment is Moment.PRE_THROW)
    assert known.frame == of.forward_frame - 5
