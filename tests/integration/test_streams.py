"""How streams go on, or end, when something goes wrong."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from itertools import count
from typing import TypeVar

import grpc
import grpc.aio
import pytest

from ghostback import feed
from ghostback.client import Addresses, Client
from ghostback.play import Play, Samples
from simulator.game import simulate_game
from tests.processes import Server, running
from tests.proxies import Proxy

T = TypeVar("T")

SIMULATED = simulate_game(31, 1)
NUMBERS = count()


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    database = tmp_path_factory.mktemp("ingest") / "ingest.db"
    async with running("services.ingest", f"--database-url=sqlite:///{database}") as started:
        yield started


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    async with Client(Addresses(ingest=server.address)) as client:
        await client.update_game(SIMULATED.game)
        yield client


@pytest.fixture
async def play(client: Client) -> Play:
    """One that ingest knows, and of which it has no samples yet."""
    play = replace(SIMULATED.plays[0], play_id=f"of-test-{next(NUMBERS)}")
    await client.update_play(play)
    return play


async def async_iterable(items: Iterable[T]) -> AsyncIterator[T]:
    for item in items:
        yield item


async def batches(play: Play, n: int, wrong: int = -1) -> AsyncIterator[tuple[str, Samples]]:
    """Batches, one of which may be of a play that ingest does not know."""
    for i in range(n):
        yield play.name if i != wrong else "games/0/plays/0", play.samples.take(slice(0, 500))


async def test_the_status_is_the_servers_also_while_the_client_is_writing(client: Client, play: Play) -> None:
    for _ in range(30):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            async for _ in client.stream_tags(batches(play, 400, wrong=20)):
                pass
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND
        assert raised.value.details() == "there is no play games/0/plays/0"


async def test_what_the_batches_raise_is_raised_after_the_acknowledgements(client: Client, play: Play) -> None:
    async def failing() -> AsyncIterator[tuple[str, Samples]]:
        async for batch in batches(play, 3):
            yield batch
        raise RuntimeError("the feed broke")

    acknowledged: list[int] = []
    with pytest.raises(RuntimeError, match="the feed broke"):
        async for acknowledgement in client.stream_tags(failing()):
            acknowledged += [acknowledgement.sequence]
    assert acknowledged == [0, 1, 2]


async def test_a_named_stream_goes_on_after_every_cut_without_loss_and_without_doubles(
    server: Server, play: Play
) -> None:
    """The connection is cut in the middle of messages, of those sent and of acknowledgements."""
    parts = [(play.name, part) for part in feed.batches(play, 0.1)]
    async with Proxy.running(server.address) as proxy, Client(Addresses(ingest=proxy.address)) as client:
        proxy.cut_every(6000)
        told = []
        async for each in client.stream_tags(async_iterable(parts), stream="cut"):
            told.append(each)
            if each.sequence % 10 == 5:
                proxy.cut()
        assert [each.sequence for each in told] == list(range(len(parts)))
        assert proxy.connections > 8
        for each, (_, samples) in zip(told, parts, strict=True):
            if each.counted:
                assert each.accepted + each.duplicates + sum(each.quarantined.values()) == len(samples)
        quality = await client.quality_report(play.name)
        assert quality.accepted + sum(quality.quarantined.values()) == len(play.samples)


async def test_a_stream_without_a_name_ends_with_its_connection(server: Server, play: Play) -> None:
    async with Proxy.running(server.address) as proxy, Client(Addresses(ingest=proxy.address)) as client:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            async for acknowledgement in client.stream_tags(batches(play, 100)):
                if acknowledgement.sequence == 3:
                    proxy.cut()
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_stream_gives_up_when_the_server_stays_away(sqlite: str) -> None:
    async with running("services.ingest", f"--database-url={sqlite}") as server:
        async with Client(Addresses(ingest=server.address), patience=1.0) as client:
            await client.update_game(SIMULATED.game)
            (play,) = SIMULATED.plays
            await client.update_play(play)
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                async for acknowledgement in client.stream_tags(batches(play, 100), stream="away"):
                    if acknowledgement.sequence == 3:
                        server.process.kill()
            assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_batches_are_taken_as_they_are_stored_and_no_faster(client: Client, play: Play) -> None:
    taken = 0

    async def counted() -> AsyncIterator[tuple[str, Samples]]:
        nonlocal taken
        async for batch in batches(play, 2000):
            taken += 1
            yield batch

    async for acknowledgement in client.stream_tags(counted()):
        assert taken - acknowledgement.sequence <= 1 + 128 + 1
        if acknowledgement.sequence == 300:
            break


async def test_plays_are_watched_on_after_every_cut_each_told_once(server: Server) -> None:
    simulated = simulate_game(32, 12)
    async with (
        Proxy.running(server.address) as proxy,
        Client(Addresses(ingest=server.address)) as producer,
        Client(Addresses(ingest=proxy.address)) as watcher,
    ):
        await producer.update_game(simulated.game)
        seen = []

        async def produce() -> None:
            for play in simulated.plays:
                await producer.update_play(play)
                await asyncio.sleep(0.05)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(produce())
            async for completed in watcher.watch_plays(simulated.game.name):
                seen.append(completed.play.name)
                if len(seen) % 3 == 0:
                    proxy.cut()
                if len(seen) == len(simulated.plays):
                    break
        assert seen == [play.name for play in simulated.plays]
        assert proxy.connections >= 4
