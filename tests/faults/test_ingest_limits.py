"""What a hostile, a careless or a slow client can do to ingest: nothing that lasts."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio
import numpy as np
import pytest

from ghostback import convert, wire
from ghostback.ingest.v1 import ingest_service_pb2 as pb
from ghostback.play import Play, PlayState, Samples
from tests.failures import failure
from tests.faults.live import PLAY, SIMULATED, ingest
from tests.processes import Server

SERVICE = pb.DESCRIPTOR.services_by_name["IngestService"]
MEGABYTES = 512
CALLS = 60


def peak_megabytes(server: Server) -> int:
    """The most memory that the server ever had."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024  # type: ignore[index]


def connection(server: Server, **options: int) -> grpc.aio.Channel:
    """A connection of its own."""
    pairs = [(f"grpc.{name}".replace("__", "."), value) for name, value in options.items()]
    return grpc.aio.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1), *pairs])


def any_samples(seed: int, faulty: bool) -> Samples:
    """As many as a batch may have, of any tags at any frames."""
    random, n = np.random.default_rng(seed), convert.MAX_SAMPLES
    tags = [tag for p in PLAY.participants for tag in p.tag_ids]
    return Samples.from_columns(
        {
            "tag_id": random.choice(tags, n),
            "frame": random.integers(0, 8192, n),
            "x": np.full(n, np.nan) if faulty else random.uniform(0, 120, n),
            "y": random.uniform(0, 53, n),
        }
        | {name: random.uniform(0, 9, n) for name in ("speed", "acceleration", "distance", "orientation", "direction")}
    )


@pytest.mark.parametrize("faulty", [False, True], ids=["clean", "faulty"])
async def test_memory_is_bounded_when_many_streams_send_as_much_as_they_can(sqlite: str, faulty: bool) -> None:
    async with ingest(sqlite, "--log-level=warning") as (server, client):
        plays = [replace(PLAY, play_id=f"p{i}") for i in range(CALLS)]
        for play in plays:
            await client.update_play(play)
        message = wire.view(pb.StreamTagsRequest)
        batches = [convert.samples_to_message(any_samples(seed, faulty)) for seed in range(4)]

        async def send(play: Play) -> int:
            async with connection(server) as channel:
                requests = [message(play=play.name, sequence=i, samples=batches[i]) for i in range(4)]
                return len([response async for response in wire.stub(SERVICE, channel).StreamTags(iter(requests))])

        acknowledged = await asyncio.gather(*map(send, plays))
        print(f"peak {peak_megabytes(server)} MB")  # noqa: T201
        assert acknowledged == [4] * CALLS
        assert peak_megabytes(server) < MEGABYTES


async def test_memory_is_bounded_when_requests_are_far_larger_than_they_look(sqlite: str) -> None:
    async with ingest(sqlite, "--log-level=warning") as (server, _):
        field = type(pb.UpdatePlayRequest().play).DESCRIPTOR.fields_by_name["participants"].number
        play = b"\x0a\x0fgames/1/plays/1" + bytes([field << 3 | 2, 0]) * 500_000
        length = bytes([len(play) & 127 | 128, len(play) >> 7 & 127 | 128, len(play) >> 14])
        told: list[str] = []

        async def send() -> None:
            async with connection(server) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as raised:
                    await channel.unary_unary(f"/{SERVICE.full_name}/UpdatePlay")(b"\x0a" + length + play)
                told.append(failure(raised.value).fields.get("play.participants", raised.value.details() or ""))

        await asyncio.gather(*(send() for _ in range(CALLS)))
        print(f"peak {peak_megabytes(server)} MB")  # noqa: T201
        assert told == ["has 500000 entries, the limit is 256"] * CALLS
        assert peak_megabytes(server) < MEGABYTES


async def test_bytes_that_are_no_message_are_an_invalid_argument(sqlite: str) -> None:
    async with ingest(sqlite) as (server, _), connection(server) as channel:
        call = channel.unary_unary(f"/{SERVICE.full_name}/GetPlay")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(b"\xff\xff\xff")
        told = failure(raised.value)
        assert (told.code, told.reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")


async def test_a_slow_reader_is_told_so_and_goes_on_with_its_resume_token(sqlite: str) -> None:
    n_plays = 300
    async with ingest(sqlite, "--reader-seconds=1") as (server, client):
        for i in range(n_plays):
            over = replace(PLAY, play_id=f"p{i}", state=PlayState.COMPLETE, description="x" * 1000)
            await client.update_play(over)
        # A connection that takes no more than it must, as the network of a slow reader would.
        async with connection(server, http2__bdp_probe=0, http2__lookahead_bytes=1024) as channel:
            watch = wire.stub(SERVICE, channel).WatchPlays
            request = wire.view(pb.WatchPlaysRequest)(parent=SIMULATED.game.name)
            call = watch(request)
            first = await call.read()
            async with asyncio.timeout(30):
                while "RESOURCE_EXHAUSTED" not in server.log.read_text():
                    await asyncio.sleep(0.05)
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                while True:
                    first = await call.read() or first
            told = failure(raised.value)
            assert (told.code, told.reason) == ("RESOURCE_EXHAUSTED", "READER_TOO_SLOW")
            request.resume_token = first.resume_token
            again = watch(request)
            async with asyncio.timeout(30):
                seen = [(await again.read()).play.name for _ in range(n_plays - 10)]
            assert len(set(seen)) == n_plays - 10
            again.cancel()
