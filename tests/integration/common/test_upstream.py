"""What a service tells the services that it calls."""

from typing import Any

import grpc.aio

from ghostback import wire
from ghostback.features.v1 import features_service_pb2 as pb
from services.common import interceptor
from services.common.settings import ServiceSettings
from services.common.upstream import Upstream

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


async def test_the_decision_for_an_arm_travels_downstream() -> None:
    listening = Listening()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([wire.handlers(SERVICE, listening)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    upstream = Upstream("features", f"127.0.0.1:{port}", SERVICE, ServiceSettings())
    interceptor.passed_on.set((("x-ghostback-arm", "candidate"),))
    await upstream.call("GetFeatureSet", wire.view(pb.GetFeatureSetRequest)(name="featureSets/a@1"))
    assert listening.heard["x-ghostback-arm"] == "candidate"
    await upstream.close()
    await server.stop(0)
