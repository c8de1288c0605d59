"""The statistics of every play are kept once, whatever stops and starts anew."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from ghostback.play import Game, Play, PlayState
from services.common.errors import DomainError, FailedPrecondition, Unavailable
from services.score.decisions import DRAWS, Options
from services.score.statistician import Statistician
from services.score.statistics import Arrival, Kind, Statistic
from simulator.game import simulate_game
from tests.unit.score.test_play_statistics import Forecasts

GAME = simulate_game(4, 12)
PASSES = [play.name for play in GAME.plays if play.forward_pass]
GONE = Unavailable("UPSTREAM_UNAVAILABLE", "it does not answer")
DEFECT = Unavailable("UPSTREAM_UNAVAILABLE", "internal error", code="INTERNAL")


class Suite(Forecasts):
    """A game that is over, and services that fail as often as they are told to."""

    def __init__(self, failures: Mapping[str, int] | None = None) -> None:
        super().__init__()
        self.plays = {play.name: (play, 1) for play in GAME.plays}
        self.told = list(self.plays)
        self.failures = Counter(failures)
        self.news = asyncio.Event()
        self.problem_of_all: DomainError = GONE

    def correct(self, name: str, play: Play) -> None:
        self.plays[name] = (play, self.plays[name][1] + 1)
        self.told.append(name)
        self.news.set()

    async def completed(self, after: datetime, resume: str) -> AsyncGenerator[tuple[Play, str], None]:
        self._fail("completed")
        position = int(resume or 0)
        while True:
            for position in range(position, len(self.told)):  # noqa: B020
                yield self.plays[self.told[position]][0], str(position + 1)
            position = len(self.told)
            self.news.clear()
            await self.news.wait()

    async def revised(self, name: str) -> tuple[Play, int]:
        self._fail("revised")
        return self.plays[name]

    async def game(self, name: str) -> Game:
        self._fail("game")
        return GAME.game

    async def options(self, play: Play, draws: int = DRAWS) -> Options:
        self._fail("options")
        return await super().options(play, draws)

    async def arrival(self, play: Play) -> Arrival:
        self._fail("arrival")
        return await super().arrival(play)

    def _fail(self, what: str) -> None:
        if self.failures[what]:
            self.failures[what] -= 1
            raise self.problem_of_all


class Kept:
    """Keeps in memory."""

    def __init__(self) -> None:
        self.token = ""
        self.plays: dict[str, tuple[int, Sequence[Statistic]]] = {}
        self.times: Counter[tuple[str, int]] = Counter()

    def resume_token(self) -> str:
        return self.token

    def keep(self, play: Play, game: Game, revision: int, statistics: Sequence[Statistic], resume_token: str) -> None:
        self.plays[play.name] = (revision, statistics)
        self.times[play.name, revision] += 1
        self.token = resume_token


async def until(suite: Suite, kept: Kept, reached: Callable[[], bool]) -> None:
    running = asyncio.create_task(Statistician(suite, kept, 0.001).run())
    async with asyncio.timeout(20):
        while not reached():
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.wait([running])


async def test_every_play_is_kept_once_and_passes_have_statistics() -> None:
    suite, kept = Suite(), Kept()
    await until(suite, kept, lambda: kept.token == str(len(suite.told)))
    assert set(kept.times.values()) == {1}
    assert [name for name, (_, statistics) in kept.plays.items() if statistics] == PASSES


@pytest.mark.parametrize("what", ["completed", "revised", "game", "options", "arrival"])
async def test_what_does_not_answer_delays_and_loses_nothing(what: str) -> None:
    whole, kept = Kept(), Kept()
    await until(Suite(), whole, lambda: whole.token == str(len(GAME.plays)))
    await until(Suite({what: 5}), kept, lambda: kept.token == str(len(GAME.plays)))
    assert kept.plays == whole.plays


async def test_nothing_is_left_out_while_a_model_is_loaded_again_after_a_crash() -> None:
    suite, kept = Suite({"arrival": 7, "options": 7}), Kept()
    suite.problem_of_all = FailedPrecondition("MODEL_VERSION_UNUSABLE", "it is being loaded", "")
    await until(suite, kept, lambda: kept.token == str(len(suite.told)))
    for name in PASSES:
        assert {Kind.COMPLETION, Kind.CATCH, Kind.COVERAGE} <= {each.kind for each in kept.plays[name][1]}


async def test_a_play_that_another_service_stumbles_over_keeps_no_other_waiting() -> None:
    suite, kept = Suite({"arrival": 50}), Kept()
    suite.problem_of_all = DEFECT
    await until(suite, kept, lambda: kept.token == str(len(suite.told)))
    found = [bool(kept.plays[name][1]) for name in PASSES]
    assert not found[0]
    assert set(kept.times.values()) == {1}


async def test_a_new_start_goes_on_where_the_last_one_ended() -> None:
    suite, kept = Suite(), Kept()
    await until(suite, kept, lambda: len(kept.plays) >= 3)
    await until(suite, kept, lambda: kept.token == str(len(suite.told)))
    assert set(kept.times.values()) == {1}
    assert len(kept.plays) == len(GAME.plays)


async def test_a_corrected_play_is_computed_again_and_a_nullified_one_has_nothing() -> None:
    suite, kept = Suite(), Kept()
    await until(suite, kept, lambda: kept.token == str(len(suite.told)))
    first, second = PASSES[:2]
    suite.correct(first, replace(suite.plays[first][0], situation=replace(suite.plays[first][0].situation, down=0)))
    suite.correct(second, replace(suite.plays[second][0], state=PlayState.NULLIFIED))
    await until(suite, kept, lambda: kept.token == str(len(suite.told)))
    revision, corrected = kept.plays[first]
    assert revision == 2
    assert corrected
    assert Kind.DECISION not in {each.kind for each in corrected}
    assert kept.plays[second] == (2, [])
