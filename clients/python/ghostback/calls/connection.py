"""What the calls of all services share: channels, stubs, the deadline, pages and sources."""

from collections.abc import AsyncIterator
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import grpc.aio

from ghostback import channels, convert, wire
from ghostback.channels import PLAIN, Security
from ghostback.features.v1 import features_service_pb2
from ghostback.ingest.v1 import ingest_service_pb2
from ghostback.play import Play
from ghostback.predict.v1 import predict_service_pb2, rollout_service_pb2
from ghostback.results import Addresses
from ghostback.score.v1 import score_service_pb2, statistics_service_pb2
from ghostback.tracking.v1 import operation_service_pb2, source_pb2


class Connection:
    """One channel to each target, and a stub of each service; an async context manager."""

    def __init__(
        self, addresses: Addresses, timeout: float = 30.0, security: Security = PLAIN, patience: float = 30.0
    ) -> None:
        """Connect lazily.

        Args:
            addresses: where the services listen.
            timeout: deadline of each call, seconds.
            security: TLS and token.
            patience: seconds for which a broken stream is opened again and again until it goes on.
        """
        self._timeout, self._patience, self._security = timeout, patience, security
        self._channels: dict[str, grpc.aio.Channel] = {}
        self.ingest = self._stub(addresses.ingest, ingest_service_pb2, "IngestService")
        self.features = self._stub(addresses.features, features_service_pb2, "FeaturesService")
        self.predict = self._stub(addresses.predict, predict_service_pb2, "PredictService")
        self.models = self._stub(addresses.predict, predict_service_pb2, "ModelService")
        self.rollouts = self._stub(addresses.predict, rollout_service_pb2, "RolloutService")
        self.score = self._stub(addresses.score, score_service_pb2, "ScoreService")
        self.statistics = self._stub(addresses.score, statistics_service_pb2, "StatisticsService")
        self.operations = self._stub(addresses.score, operation_service_pb2, "OperationService")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for channel in self._channels.values():
            await channel.close()

    async def _pages(self, method: Any, request: Any) -> AsyncIterator[Any]:
        """The responses to a request, from the page it asks for to the last."""
        while True:
            response = await method(request, timeout=self._timeout)
            yield response
            request.page_token = response.next_page_token
            if not request.page_token:
                return

    def _stub(self, address: str, module: object, service: str) -> SimpleNamespace:
        if not address:
            return SimpleNamespace()
        if address not in self._channels:
            self._channels[address] = channels.aio_channel(address, self._security)
        descriptor = module.DESCRIPTOR.services_by_name[service]  # type: ignore[attr-defined]
        return wire.stub(descriptor, self._channels[address])


def source(play: str | Play) -> source_pb2.PlaySource:
    """A play by its name, or the play itself with samples."""
    if isinstance(play, str):
        return wire.view(source_pb2.PlaySource)(name=play)
    return wire.view(source_pb2.PlaySource)(play=convert.play_to_message(play))
