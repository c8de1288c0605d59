"""What a caller's deadline, or its giving up, means to the services that its call reached."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from ghostback import wire
from ghostback.client import Addresses, Client
from ghostback.features.v1 import features_service_pb2
from ghostback.predict.v1 import predict_service_pb2 as pb
from tests.failures import Failure, failure
from tests.processes import running

FEATURES = features_service_pb2.DESCRIPTOR.services_by_name["FeaturesService"]
PREDICT = pb.DESCRIPTOR.services_by_name["PredictService"]
NOBODY = "127.0.0.1:1"
SECONDS = 2.0


class Hanging:
    """Never answers; notes how long its caller would wait, and when it gave up."""

    def __init__(self) -> None:
        self.called, self.given_up = asyncio.Event(), asyncio.Event()
        self.seconds: float | None = None

    def __getattr__(self, method: str) -> Any:
        async def answer(_: Any, context: Any) -> Any:
            self.seconds = context.time_remaining()
            self.called.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.given_up.set()

        return answer


@asynccontextmanager
async def predict(hanging: Hanging, folder: Path) -> AsyncIterator[tuple[str, Client]]:
    """A predict whose features service hangs: where it listens, and a client of it."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([wire.handlers(FEATURES, hanging)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    flags = (f"--features=127.0.0.1:{port}", f"--triton={NOBODY}", f"--model-repository={folder}")
    async with running("services.predict", *flags) as started, Client(Addresses(predict=started.address)) as client:
        yield started.address, client
    await server.stop(0)


def ghosts() -> Any:
    request = wire.view(pb.PredictGhostsRequest)()
    request.source.name = "games/1/plays/1"
    return request


async def test_a_call_that_is_given_up_is_given_up_upstream(tmp_path: Path) -> None:
    hanging = Hanging()
    async with predict(hanging, tmp_path) as (_, client):
        call = client.predict.PredictGhosts(ghosts(), timeout=60)
        async with asyncio.timeout(20):
            await hanging.called.wait()
            call.cancel()
            await hanging.given_up.wait()


async def test_a_deadline_is_passed_on_less_what_it_takes_to_tell_that_it_passed(tmp_path: Path) -> None:
    hanging = Hanging()
    async with predict(hanging, tmp_path) as (_, client):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await client.predict.PredictGhosts(ghosts(), timeout=SECONDS)
        told = failure(raised.value)
        assert (told.code, told.reason) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
        assert "features" in told.message
        assert hanging.seconds is not None
        assert hanging.seconds < SECONDS - 0.04
        async with asyncio.timeout(20):
            await hanging.given_up.wait()


async def test_a_service_that_leaves_calls_unanswered_is_left_alone_for_a_while(tmp_path: Path) -> None:
    hanging = Hanging()
    async with predict(hanging, tmp_path) as (address, client):

        async def refused(stub: Any) -> Failure:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await stub.PredictGhosts(ghosts(), timeout=SECONDS)
            return failure(raised.value)

        told = await asyncio.gather(*(refused(client.predict) for _ in range(5)))
        assert [each.code for each in told] == ["DEADLINE_EXCEEDED"] * 5
        hanging.called.clear()
        options = [("grpc.enable_retries", 0)]
        async with grpc.aio.insecure_channel(address, options) as channel:
            once = await refused(wire.stub(PREDICT, channel))
        assert (once.code, once.reason) == ("UNAVAILABLE", "UPSTREAM_UNAVAILABLE")
        assert "left the last calls unanswered" in once.message
        assert not hanging.called.is_set()
