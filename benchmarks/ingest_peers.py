"""What ingest is held against: a bare gRPC stream, its own rules without a server, and the same rules in pandas."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import grpc.aio
import numpy as np
import pandas as pd
import uvloop

from ghostback import convert, wire
from ghostback.ingest.v1 import ingest_service_pb2 as pb
from ghostback.play import FIELD_LENGTH, FIELD_WIDTH, SAMPLE_DTYPES, ParticipantKind, Play, Samples
from services.ingest.ledger import Ledger, judge
from services.ingest.policies import POLICIES, Limits, Policy
from services.ingest.rules import Roster
from services.ingest.writer import GROUP_SAMPLES

_METHOD = "/echo/Stream"
_REPEATS = 5


def in_process(plays: Sequence[Play]) -> float:
    """Samples a second judged in groups as the server does, without network and disk."""
    policy = Policy(POLICIES["strict"])

    def run() -> None:
        group: list[tuple[Ledger, Samples]] = []
        for play in plays:
            group.append((Ledger(Roster(_tags(play)), play.sample_rate, policy.limits.frames), play.samples))
            if sum(len(samples) for _, samples in group) > GROUP_SAMPLES:
                judge(group, policy)
                group = []
        if group:
            judge(group, policy)

    return _rate(run, plays)


def pandas_way(plays: Sequence[Play]) -> float:
    """Samples a second judged play by play with group-by and masks."""
    limits = Limits()
    rosters = [_tags(play) for play in plays]

    def run() -> None:
        for play, roster in zip(plays, rosters, strict=True):
            frame = pd.DataFrame({name: getattr(play.samples, name) for name in SAMPLE_DTYPES})
            frame = frame.sort_values(["tag_id", "frame"])
            player = frame["tag_id"].map(roster)
            bad = player.isna() | (frame["frame"] < 0) | (frame["speed"] < 0) | (frame["distance"] < 0)
            bad |= ~np.isfinite(frame["x"]) | ~np.isfinite(frame["y"])
            for name in ("speed", "acceleration", "distance", "orientation", "direction"):
                bad |= np.isinf(frame[name])
            bad |= ~(frame["orientation"].fillna(0).between(0, 360) & frame["direction"].fillna(0).between(0, 360))
            bad |= ~frame["x"].between(-limits.off_field, FIELD_LENGTH + limits.off_field)
            bad |= ~frame["y"].between(-limits.off_field, FIELD_WIDTH + limits.off_field)
            bad |= player.fillna(False).astype(bool) & (frame["speed"] > limits.speed)
            bad |= frame.duplicated(["tag_id", "frame"])
            step = frame.groupby("tag_id")[["frame", "x", "y"]].diff()
            far = np.hypot(step["x"], step["y"]) > limits.displacement * 10 / play.sample_rate * step["frame"]
            frozen = (step["x"] == 0) & (step["y"] == 0) & (frame["speed"] > limits.frozen_speed)
            bad |= step["frame"].lt(0) | (frozen & player.fillna(False).astype(bool))
            frame[~(bad | (far & player.fillna(False).astype(bool)))]

    return _rate(run, plays)


def _tags(play: Play) -> dict[int, bool]:
    """The tags of a play, and whether each is of a player."""
    return {tag: p.kind is ParticipantKind.PLAYER for p in play.participants for tag in p.tag_ids}


def _rate(run: Callable[[], None], plays: Sequence[Play]) -> float:
    run()
    started = time.perf_counter()
    for _ in range(_REPEATS):
        run()
    return _REPEATS * sum(len(play.samples) for play in plays) / (time.perf_counter() - started)


async def echo(batches: Callable[[int, int], Iterator[tuple[str, Samples]]], samples: int, streams: int) -> float:
    """Samples a second over a stream whose server reads each message and answers, and does nothing else."""
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.ingest_peers", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert server.stdout  # noqa: S101
        address = (await server.stdout.readline()).decode().strip()
        async with grpc.aio.insecure_channel(address) as channel:
            call = channel.stream_stream(
                _METHOD,
                request_serializer=wire.view(pb.StreamTagsRequest).SerializeToString,
                response_deserializer=wire.view(pb.StreamTagsResponse).FromString,
            )

            async def stream(part: int) -> None:
                async def requests() -> AsyncIterator[pb.StreamTagsRequest]:
                    for i, (play, sent) in enumerate(batches(part, streams)):
                        message = convert.samples_to_message(sent)
                        yield wire.view(pb.StreamTagsRequest)(play=play, sequence=i, samples=message)

                async for _ in call(requests()):
                    pass

            started = time.perf_counter()
            await asyncio.gather(*(stream(part) for part in range(streams)))
            return samples / (time.perf_counter() - started)
    finally:
        server.terminate()
        await server.wait()


async def _serve() -> None:
    async def answer(
        requests: AsyncIterator[pb.StreamTagsRequest], context: object
    ) -> AsyncIterator[pb.StreamTagsResponse]:
        async for request in requests:
            yield wire.view(pb.StreamTagsResponse)(sequence=request.sequence)

    service, method = _METHOD.strip("/").split("/")
    handler = grpc.stream_stream_rpc_method_handler(
        answer,
        request_deserializer=wire.view(pb.StreamTagsRequest).FromString,
        response_serializer=wire.view(pb.StreamTagsResponse).SerializeToString,
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {method: handler})])
    print(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}", flush=True)  # noqa: T201
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(_serve())
