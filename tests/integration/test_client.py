"""The client without asyncio, and the suite in tests of a consumer's own."""

import asyncio
import fcntl
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path

import grpc
import grpc.aio
import numpy as np
import pytest
from opentelemetry.instrumentation.grpc import GrpcAioInstrumentorClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ghostback import feed
from ghostback.client import Addresses, Client
from ghostback.sync import SyncClient
from ghostback.testing import CHECKOUT, SuiteError, running_suite
from simulator.game import simulate_game
from tests.integration.conftest import Chain
from tests.integration.test_streams import async_iterable

CHECKOUT_FOLDER = Path(__file__).parents[2]
CONSUMERS_TEST = """
def test_a_ghost_for_every_defender(ghostback_client, ghostback_suite):
    plays = list(ghostback_client.list_plays(ghostback_suite.game))
    assert len(plays) == 3
    play = next(play for play in plays if play.forward_pass)
    ghosts = ghostback_client.predict_ghosts(play.name).ghosts
    assert {ghost.defender_id for ghost in ghosts} == {each.participant_id for each in play.defensive_backs()}
"""


async def test_both_clients_give_the_same(chain: Chain, ghostback_client: SyncClient) -> None:
    game, play = chain.simulated.game.name, chain.passes[0].name
    assert [each.name for each in ghostback_client.list_plays(game)] == [
        each.name async for each in chain.client.list_plays(game)
    ]
    assert ghostback_client.get_play(play) == await chain.client.get_play(play)
    ours, theirs = ghostback_client.predict_ghosts(play), await chain.client.predict_ghosts(play)
    for one, other in zip(ours.ghosts, theirs.ghosts, strict=True):
        np.testing.assert_array_equal(one.path, other.path)
    watched = islice(ghostback_client.watch_plays(game), 3)
    assert [each.play.game_id for each in watched] == [chain.simulated.game.game_id] * 3
    with pytest.raises(grpc.aio.AioRpcError, match="there is no play"):
        ghostback_client.get_play("games/0/plays/0")


async def test_plays_are_streamed_without_asyncio_and_by_several_threads(
    chain: Chain, ghostback_client: SyncClient
) -> None:
    simulated = simulate_game(33, 4)
    ghostback_client.update_game(simulated.game)

    def send(number: int) -> int:
        play = replace(simulated.plays[number], events=(), forward_pass=None)
        ghostback_client.update_play(play)
        batches = ((play.name, part) for part in feed.batches(play))
        return sum(each.accepted for each in ghostback_client.stream_tags(batches, stream=f"thread-{number}"))

    with ThreadPoolExecutor(4) as threads:
        accepted = list(threads.map(send, range(4)))
    assert accepted == [len(play.samples) for play in simulated.plays]


async def test_every_call_of_the_client_is_there_without_asyncio_too() -> None:
    def calls(client: type) -> set[str]:
        return {name for name in dir(client) if not name.startswith("_")}

    assert calls(Client) == calls(SyncClient)


async def test_one_channel_to_each_target() -> None:
    async with Client(Addresses("127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:2")) as client:
        assert sorted(client._channels) == ["127.0.0.1:1", "127.0.0.1:2"]


async def test_a_call_to_a_server_that_never_answers_ends_with_its_deadline() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with server, Client(Addresses(f"127.0.0.1:{server.sockets[0].getsockname()[1]}"), timeout=0.5) as client:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await client.quality_report("games/1")
        assert raised.value.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)


async def test_calls_are_spans_with_opentelemetrys_own_instrumentation(chain: Chain) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    GrpcAioInstrumentorClient().instrument(tracer_provider=provider)
    try:
        async with Client(chain.suite.addresses) as client:
            await client.quality_report(chain.simulated.game.name)
            play = chain.passes[0]
            batch = play.name, play.samples.take(slice(0, 100))
            assert [each.sequence async for each in client.stream_tags(async_iterable([batch]), stream="traced")] == [0]
    finally:
        GrpcAioInstrumentorClient().uninstrument()
    names = [span.name.rpartition("/")[2] for span in exporter.get_finished_spans()]
    assert names == ["GetQualityReport", "StreamTags"]


async def test_a_consumers_own_tests_have_the_suite_by_asking_for_a_fixture(tmp_path: Path) -> None:
    (tmp_path / "test_ghosts.py").write_text(CONSUMERS_TEST)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "--ghostback-plays=3", "-p", "no:cacheprovider", "--rootdir=."),
        cwd=tmp_path,
        env=os.environ | {CHECKOUT: str(CHECKOUT_FOLDER)},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert "1 passed" in output.decode()


def test_a_suite_that_is_not_there_or_does_not_start_is_told_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="run `make setup`"), running_suite(tmp_path, checkout=tmp_path):
        pass
    with (tmp_path / "suite.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SuiteError, match="stop it, or name another folder"), running_suite(tmp_path):
            pass
