"""What every server bears of its callers."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ghostback.ingest.v1.ingest_service_pb2 import ListGamesRequest, UpdateGameRequest
from ghostback.ingest.v1.ingest_service_pb2_grpc import IngestServiceStub
from ghostback.tracking.v1 import operation_service_pb2 as pb
from ghostback.tracking.v1.operation_service_pb2_grpc import OperationServiceStub
from ghostback.tracking.v1.play_pb2 import Game
from tests.failures import failure
from tests.processes import Server, running

MODULE = "tests.integration.common.chassis_server"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
PING = bytes([0, 0, 8, 6, 0, 0, 0, 0, 0]) + bytes(8)


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Server]:
    async with running(
        MODULE, "--max-calls-per-peer=2", "--max-concurrent-calls=3", "--handshake-seconds=1"
    ) as started:
        yield started


async def connect(server: Server, source: str = "127.0.0.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = server.address.rpartition(":")
    return await asyncio.open_connection(host, int(port), local_addr=(source, 0))


@asynccontextmanager
async def relay(server: Server, source: str) -> AsyncIterator[str]:
    """Where to connect to reach a server from another address."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await connect(server, source)
        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    listening.close()


async def watch(channel: grpc.aio.Channel) -> grpc.aio.UnaryStreamCall[pb.WatchOperationRequest, object]:
    """A stream that lasts, and has begun."""
    stub = OperationServiceStub(channel)
    name = (await stub.ListOperations(pb.ListOperationsRequest())).operations[0].name
    call = stub.WatchOperation(pb.WatchOperationRequest(name=name))
    await call.read()
    return call


async def end(
    calls: list[grpc.aio.UnaryStreamCall[pb.WatchOperationRequest, object]], *channels: grpc.aio.Channel
) -> None:
    """Cancel calls, and wait until the callers on channels may make others."""
    for call in calls:
        call.cancel()
    async with asyncio.timeout(20):
        while any([await is_refused(channel) for channel in channels]):
            pass


async def is_refused(channel: grpc.aio.Channel) -> bool:
    call = OperationServiceStub(channel).ListOperations(pb.ListOperationsRequest())
    return await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_one_caller_has_so_many_calls_over_all_its_connections_and_others_go_on(server: Server) -> None:
    own_pool = [("grpc.use_local_subchannel_pool", 1)]
    async with (
        grpc.aio.insecure_channel(server.address, own_pool) as first,
        grpc.aio.insecure_channel(server.address, own_pool) as second,
        relay(server, "127.0.0.9") as address,
        grpc.aio.insecure_channel(address) as other,
    ):
        calls = [await watch(first), await watch(second)]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await OperationServiceStub(second).ListOperations(pb.ListOperationsRequest())
        told = failure(refused.value)
        assert (told.code, told.reason, told.retry_seconds) == ("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS", 1)
        assert (await health_pb2_grpc.HealthStub(second).Check(health_pb2.HealthCheckRequest())).status == 1
        await OperationServiceStub(other).ListOperations(pb.ListOperationsRequest())
        calls.append(await watch(other))
        with pytest.raises(grpc.aio.AioRpcError) as all_taken:
            await OperationServiceStub(other).ListOperations(pb.ListOperationsRequest())
        assert "limit of this server" in failure(all_taken.value).message
        await end(calls, first, other)


async def test_who_is_refused_is_told_after_a_while_and_others_are_answered_meanwhile(server: Server) -> None:
    clock = asyncio.get_running_loop()
    async with (
        grpc.aio.insecure_channel(server.address) as channel,
        relay(server, "127.0.0.9") as address,
        grpc.aio.insecure_channel(address) as other,
    ):
        calls = [await watch(channel), await watch(channel)]
        started = clock.time()
        refusals = [
            OperationServiceStub(channel).ListOperations(pb.ListOperationsRequest()).code(),
            channel.unary_unary("/ghostback.tracking.v1.OperationService/Guess")(b"").code(),
        ]
        refused = asyncio.gather(*refusals)
        await OperationServiceStub(other).ListOperations(pb.ListOperationsRequest())
        assert not refused.done()
        assert await refused == [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNIMPLEMENTED]
        assert clock.time() - started >= 1
        await end(calls, channel)


async def test_a_message_that_grows_beyond_the_limit_when_unpacked_is_refused_and_takes_no_memory() -> None:
    async with running(MODULE, "--max-message-bytes=1000000") as server, grpc.aio.insecure_channel(server.address) as c:
        call = c.unary_unary("/ghostback.tracking.v1.OperationService/GetOperation")
        before = peak_megabytes(server)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(bytes(256 * 2**20), compression=grpc.Compression.Gzip)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert peak_megabytes(server) < before + 16


def peak_megabytes(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024  # type: ignore[index]


async def test_a_connection_that_pings_without_end_is_told_to_go_away(server: Server) -> None:
    reader, writer = await connect(server)
    writer.write(PREFACE + SETTINGS + PING * 10)
    async with asyncio.timeout(10):
        received = await reader.read()
    writer.close()
    assert b"too_many_pings" in received


async def test_a_connection_that_says_nothing_is_closed(server: Server) -> None:
    reader, writer = await connect(server)
    async with asyncio.timeout(10):
        while await reader.read(1000):
            pass
    writer.close()


async def test_a_stream_on_which_nothing_comes_ends(sqlite: str) -> None:
    async with running("services.ingest", f"--database-url={sqlite}", "--idle-seconds=0.2") as server:
        async with grpc.aio.insecure_channel(server.address) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await IngestServiceStub(channel).StreamTags().read()
            told = failure(ended.value)
            assert (told.code, told.reason) == ("RESOURCE_EXHAUSTED", "STREAM_IDLE")


async def test_a_call_that_waits_too_long_for_its_turn_is_refused(sqlite: str) -> None:
    flags = (f"--database-url={sqlite}", "--max-calls-at-work=1", "--queue-seconds=0.05")
    async with running("services.ingest", *flags) as server, grpc.aio.insecure_channel(server.address) as channel:
        stub = IngestServiceStub(channel)
        with sqlite3.connect(sqlite.removeprefix("sqlite:///"), isolation_level=None) as others:
            others.execute("BEGIN IMMEDIATE")
            working = asyncio.ensure_future(
                stub.UpdateGame(UpdateGameRequest(game=Game(name="games/1", league="L", home_team="A", away_team="B")))
            )
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                while not working.done():
                    await stub.ListGames(ListGamesRequest())
            others.execute("COMMIT")
        told = failure(refused.value)
        assert (told.code, told.reason, told.retry_seconds) == ("UNAVAILABLE", "OVERLOADED", 0.05)
        await asyncio.wait([working])
