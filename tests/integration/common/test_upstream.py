"""What a service tells the services that it calls."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor
from opentelemetry import trace
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from benchmarks.collector import collecting
from ghostback import wire
from ghostback.features.v1 import features_service_pb2 as pb
from ghostback.ingest.v1 import ingest_service_pb2
from services.common import interceptor, tracing
from services.common.settings import ServiceSettings
from services.common.upstream import Upstream

INGEST = ingest_service_pb2.DESCRIPTOR.services_by_name["IngestService"]
SERVICE = pb.DESCRIPTOR.services_by_name["FeaturesService"]


class Listening:
    """Answers nothing, and keeps the metadata."""

    def __init__(self) -> None:
        self.heard: dict[str, str] = {}

    def __getattr__(self, method: str) -> Any:
        async def answer(request: Any, context: Any) -> Any:
            self.heard = dict(context.invocation_metadata())
            return wire.view(getattr(pb, f"{method}Response"))()

        return answer


class Watched(Listening):
    """Tells of two plays, and keeps the metadata."""

    async def WatchPlays(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        self.heard = dict(context.invocation_metadata())
        for _ in range(2):
            yield wire.view(ingest_service_pb2.WatchPlaysResponse)()


@asynccontextmanager
async def calling(listening: Listening, service: ServiceDescriptor = SERVICE) -> AsyncIterator[Upstream]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([wire.handlers(service, listening)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    upstream = Upstream("other", f"127.0.0.1:{port}", service, ServiceSettings())
    yield upstream
    await upstream.close()
    await server.stop(0)


async def test_the_decision_for_an_arm_travels_downstream() -> None:
    listening = Listening()
    interceptor.passed_on.set((("x-ghostback-arm", "candidate"),))
    async with calling(listening) as upstream:
        await upstream.call("GetFeatureSet", wire.view(pb.GetFeatureSetRequest)(name="featureSets/a@1"))
    assert listening.heard["x-ghostback-arm"] == "candidate"


async def test_a_stream_is_a_span_that_its_server_hears_of_and_that_its_reader_is_not_in() -> None:
    watched = Watched()
    request = wire.view(ingest_service_pb2.WatchPlaysRequest)()
    with collecting() as collector:
        with tracing.exporting("test", collector.endpoint, 1):
            async with calling(watched, INGEST) as upstream:
                async for _ in upstream.stream("WatchPlays", request, 10):
                    assert not trace.get_current_span().get_span_context().is_valid
    ((_, span),) = collector.spans()
    assert (span.name, span.kind) == ("ghostback.ingest.v1.IngestService/WatchPlays", Span.SPAN_KIND_CLIENT)
    assert [each.value.string_value for each in span.attributes] == ["OK"]
    assert watched.heard["traceparent"].split("-")[1:3] == [span.trace_id.hex(), span.span_id.hex()]
