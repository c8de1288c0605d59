"""A live game in the running suite: what its watchers are told, and when."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc.aio
import pytest

from ghostback import feed, wire
from ghostback.client import Client
from ghostback.ingest.v1 import ingest_service_pb2
from ghostback.play import Game, Play, PlayState
from ghostback.results import Addresses
from ghostback.score.v1 import statistics_service_pb2 as pb
from ghostback.sync import SyncClient
from ghostback.testing import RunningSuite
from simulator.game import simulate_game
from tests.failures import failure
from tests.proxies import Proxy

SIMULATED = simulate_game(31, 12)
RUN = next(play for play in SIMULATED.plays if play.forward_pass is None)
PASSES = [play for play in SIMULATED.plays if play.forward_pass and play.forward_pass.target_id][:2]
FRAME_SECONDS = 0.1


class Seen:
    """What came out of a stream so far."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self._came = asyncio.Event()

    async def read(self, responses: AsyncIterator[Any]) -> None:
        async for response in responses:
            self.told.append(response)
            self._came.set()

    async def until(self, found: Callable[[Any], bool], seconds: float = 30) -> Any:
        async with asyncio.timeout(seconds):
            while True:
                self._came.clear()
                if there := [each for each in self.told if found(each)]:
                    return there[0]
                await self._came.wait()


@asynccontextmanager
async def watching(client: Client, game: Game, responses: AsyncIterator[Any]) -> AsyncIterator[Seen]:
    """Somebody watches; when this is entered, he was told of a first play, over and over corrected until then."""
    await client.update_game(game)
    seen = Seen()
    reading = asyncio.create_task(seen.read(responses))
    first = replace(RUN, game_id=game.game_id, state=PlayState.COMPLETE)
    try:
        async with asyncio.timeout(30):
            for i in range(1000):
                await client.update_play(replace(first, description=f"told {i} times"))
                try:
                    await seen.until(lambda each: True, seconds=0.2)
                except TimeoutError:
                    continue
                break
        yield seen
    finally:
        reading.cancel()
        await asyncio.wait([reading])


def is_at(play: Play, moment: int) -> Callable[[Any], bool]:
    return lambda each: (each.play, each.moment) == (play.name, moment)


def game_of(name: str) -> tuple[Game, list[Play]]:
    """The same game by another name."""
    return replace(SIMULATED.game, game_id=name), [replace(play, game_id=name) for play in PASSES]


async def test_each_moment_of_a_pass_is_told_when_it_is_known(ghostback_suite: RunningSuite) -> None:
    game, plays = game_of("live-moments")
    async with (
        Client(ghostback_suite.addresses) as client,
        watching(client, game, client.watch_statistics(game.name)) as seen,
    ):
        async for _ in feed.stream(client, plays, FRAME_SECONDS, speed=1.0):
            pass
        for play in plays:
            await seen.until(is_at(play, pb.MOMENT_COMPLETE))
    for play in plays:
        told = [each for each in seen.told if each.play == play.name]
        thrown = play.forward_pass
        assert thrown
        moments = [each.moment for each in told]
        assert moments == sorted(moments)
        assert set(moments) == {pb.MOMENT_PRE_THROW, pb.MOMENT_AT_THROW, pb.MOMENT_AT_ARRIVAL, pb.MOMENT_COMPLETE}
        of = {each.moment: each for each in told}
        before, throw, arrival, over = (of[moment] for moment in sorted(of))
        assert before.frame < throw.frame == thrown.forward_frame
        assert not before.decision.chosen_target_id
        assert throw.decision.chosen_target_id == throw.target_id == thrown.target_id
        assert arrival.frame == thrown.arrived_frame
        assert 0 < throw.completion_probability < 1
        assert 0 < arrival.completion_probability < 1
        assert arrival.HasField("play_score")
        assert {each.kind for each in over.statistics} >= {pb.STATISTIC_KIND_COMPLETION, pb.STATISTIC_KIND_CATCH}
        assert all(each.line for each in told)
        assert [bool(each.resume_token) for each in told] == [each is over for each in told]


async def test_the_forecast_at_the_throw_is_what_predict_says_when_the_play_is_over(
    ghostback_suite: RunningSuite,
) -> None:
    game, (play, *_) = game_of("live-and-batch")
    async with (
        Client(ghostback_suite.addresses) as client,
        watching(client, game, client.watch_statistics(game.name)) as seen,
    ):
        async for _ in feed.stream(client, [play], FRAME_SECONDS, speed=2.0):
            pass
        over = await seen.until(is_at(play, pb.MOMENT_COMPLETE))
        live = await seen.until(is_at(play, pb.MOMENT_AT_THROW))
        batch = await client.compute_statistics(play.name)
    expected = {each.kind: each.expected for each in batch}
    assert live.completion_probability == pytest.approx(expected[pb.STATISTIC_KIND_COMPLETION], abs=1e-4)
    assert {each.kind: each.expected for each in over.statistics} == pytest.approx(expected, abs=1e-4)


async def test_corrections_are_told_and_a_watch_is_resumed_where_it_ended(ghostback_suite: RunningSuite) -> None:
    game, (play, *_) = game_of("live-corrected")
    async with Client(ghostback_suite.addresses) as client:
        async with watching(client, game, client.watch_statistics(game.name)) as seen:
            token = seen.told[0].resume_token
            async for _ in feed.stream(client, [play]):
                pass
            await seen.until(is_at(play, pb.MOMENT_COMPLETE))
        await client.update_play(replace(play, description="measured again"))
        resumed = Seen()
        reading = asyncio.create_task(resumed.read(client.watch_statistics(game.name, token)))
        corrected = await resumed.until(is_at(play, pb.MOMENT_CORRECTED))
        assert (corrected.revision, bool(corrected.statistics)) == (2, True)
        before = [each for each in resumed.told if each.play == play.name and each.revision == 1]
        assert [each.moment for each in before] == [pb.MOMENT_COMPLETE]
        reading.cancel()

        def first() -> Any:
            with SyncClient(ghostback_suite.addresses) as synchronous:
                return next(iter(synchronous.watch_statistics(game.name, token)))

        assert (await asyncio.to_thread(first)).play == resumed.told[0].play


async def test_a_watch_that_is_cut_goes_on_by_itself_and_tells_each_play_once(ghostback_suite: RunningSuite) -> None:
    game, plays = game_of("live-cut")
    async with (
        Proxy.running(ghostback_suite.addresses.score) as proxy,
        Client(ghostback_suite.addresses) as client,
        Client(Addresses(score=proxy.address)) as watcher,
        watching(client, game, watcher.watch_statistics(game.name)) as seen,
    ):
        for play in plays:
            proxy.cut()
            async for _ in feed.stream(client, [play]):
                pass
            await seen.until(is_at(play, pb.MOMENT_COMPLETE))
    over = [each.play for each in seen.told if each.moment == pb.MOMENT_COMPLETE]
    assert over[-len(plays) :] == [play.name for play in plays]
    assert len(over) == len(set(over))


async def test_a_name_or_token_that_is_none_is_refused(ghostback_suite: RunningSuite) -> None:
    async with Client(ghostback_suite.addresses) as client:
        for parent, token, wrong in (("games", "", "parent"), ("", "forged", "resume_token")):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await anext(aiter(client.watch_statistics(parent, token)))
            refused = failure(raised.value)
            assert (refused.code, list(refused.fields)) == ("INVALID_ARGUMENT", [wrong])


async def test_ingest_tells_of_live_plays_at_once_and_of_those_that_are_over(ghostback_suite: RunningSuite) -> None:
    game, (play, *_) = game_of("live-plays")
    async with Client(ghostback_suite.addresses) as client:
        request = wire.view(ingest_service_pb2.WatchPlaysRequest)(parent=game.name, live=True)
        await client.update_game(game)
        call = client.ingest.WatchPlays(request)
        async with watching(client, game, aiter(call)) as seen:
            await client.update_play(play.known_at(-1))
            thrown = play.forward_pass
            assert thrown
            await client.update_play(play.known_at(thrown.forward_frame))
            live = await seen.until(lambda each: each.play.HasField("forward_pass") and not each.resume_token)
            assert (live.play.name, live.play.forward_pass.arrived_frame) == (play.name, 0)
            await client.update_play(play)
            over = await seen.until(lambda each: each.play.name == play.name and each.resume_token)
            assert over.play.forward_pass.arrived_frame == thrown.arrived_frame
        call.cancel()


async def test_the_demo_prints_a_line_for_each_moment_of_a_pass(ghostback_suite: RunningSuite) -> None:
    addresses = ghostback_suite.addresses
    command = f"-m demo.live --plays 2 --speed 3 --ingest {addresses.ingest} --score {addresses.score}"
    demo = await asyncio.create_subprocess_exec(sys.executable, *command.split(), stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(90):
        printed, _ = await demo.communicate()
    lines = printed.decode().splitlines()
    assert demo.returncode == 0
    assert sum(" after the snap: best is " in line for line in lines) >= 1
    assert sum(line.startswith("     throw  Thrown to ") for line in lines) >= 1
    assert sum(line.startswith("   arrival  The ball reaches ") for line in lines) >= 1
    assert sum(line.startswith("      over  ") for line in lines) >= 1
