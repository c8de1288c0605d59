"""What a caller's deadline, or its giving up, means to the services that its call reached."""

import asyncio
import re
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest

from ghostback import wire
from ghostback.client import Addresses, Client
from ghostback.features.v1 import features_service_pb2
from ghostback.predict.v1 import predict_service_pb2 as pb
from tests.failures import Failure, failure
from tests.processes import Server, running

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


@pytest.fixture(scope="module")
async def hanging() -> AsyncIterator[tuple[Hanging, str]]:
    """A features service that hangs, and where it listens."""
    hanging, server = Hanging(), grpc.aio.server()
    server.add_generic_rpc_handlers([wire.handlers(FEATURES, hanging)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield hanging, f"127.0.0.1:{port}"
    await server.stop(0)


@pytest.fixture(scope="module")
async def server(hanging: tuple[Hanging, str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A predict on it."""
    flags = (
        f"--features={hanging[1]}",
        f"--triton={NOBODY}",
        f"--model-repository={tmp_path_factory.mktemp('models')}",
    )
    async with running("services.predict", *flags) as started:
        yield started


@pytest.fixture
def features(hanging: tuple[Hanging, str]) -> Hanging:
    hanging[0].called.clear()
    hanging[0].given_up.clear()
    return hanging[0]


@pytest.fixture
async def predict(server: Server) -> AsyncIterator[Any]:
    async with Client(Addresses(predict=server.address)) as client:
        yield client.predict


def ghosts() -> Any:
    request = wire.view(pb.PredictGhostsRequest)()
    request.source.name = "games/1/plays/1"
    return request


async def test_a_call_that_is_given_up_is_given_up_upstream(features: Hanging, predict: Any) -> None:
    call = predict.PredictGhosts(ghosts(), timeout=60)
    async with asyncio.timeout(20):
        await features.called.wait()
        call.cancel()
        await features.given_up.wait()


async def test_a_deadline_is_passed_on_less_what_it_takes_to_tell_that_it_passed(
    features: Hanging, predict: Any
) -> None:
    for _ in range(3):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await predict.PredictGhosts(ghosts(), timeout=SECONDS)
        told = failure(raised.value)
        if told.reason:  # on a busy machine the caller's own clock may end the call before the answer is there
            break
    assert (told.code, told.reason) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
    assert "features" in told.message
    assert features.seconds is not None
    assert features.seconds < SECONDS - 0.04
    async with asyncio.timeout(20):
        await features.given_up.wait()


async def test_a_service_that_leaves_calls_unanswered_is_left_alone_for_a_while_and_a_gauge_says_so(
    features: Hanging, predict: Any, server: Server
) -> None:
    async def refused(stub: Any) -> Failure:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.PredictGhosts(ghosts(), timeout=SECONDS)
        return failure(raised.value)

    async def gauge() -> str:
        with await asyncio.to_thread(urllib.request.urlopen, server.metrics) as page:
            return re.search(r'circuit_open\{.*upstream="features"\} (\S+)', page.read().decode())[1]  # type: ignore[index]

    assert await gauge() == "0.0"
    told = await asyncio.gather(*(refused(predict) for _ in range(5)))
    assert [each.code for each in told] == ["DEADLINE_EXCEEDED"] * 5
    features.called.clear()
    options = [("grpc.enable_retries", 0)]
    async with grpc.aio.insecure_channel(server.address, options) as channel:
        once = await refused(wire.stub(PREDICT, channel))
    assert (once.code, once.reason) == ("UNAVAILABLE", "UPSTREAM_UNAVAILABLE")
    assert "left the last calls unanswered" in once.message
    assert not features.called.is_set()
    assert await gauge() == "1.0"
