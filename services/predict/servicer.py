"""`ghostback.predict.v1.PredictService`."""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any
from urllib.parse import unquote

import numpy as np
from google.protobuf.message import Message

from ghostback import convert, wire
from ghostback.features.v1 import features_service_pb2
from ghostback.predict.v1 import predict_service_pb2 as pb
from services.common import interceptor, names, requests
from services.common.errors import InvalidInput, PermissionDenied, Violation
from services.common.upstream import Upstream
from services.predict import ghosts
from services.predict.golden import Tensors
from services.predict.registry import ModelVersion, Registry
from services.predict.rollouts.answering import Answering
from services.predict.rollouts.policy import RoutingKey
from services.predict.routing import Decision, Router
from services.predict.triton import ModelServer

PREDICT_SERVICE = pb.DESCRIPTOR.services_by_name["PredictService"]
ARM_KEY = "x-ghostback-arm"
ROUTING_KEY = "x-ghostback-routing-key"

_DEFAULT_MODEL = "models/ghosting"
_MODEL_NAME = re.compile(r"models/([^/]+)(?:/versions/([^/]+))?")


@dataclass(frozen=True, slots=True)
class Drawn:
    """The ghosts that a model version draws of a play; fields as of `answering.Answered`."""

    response: pb.PredictGhostsResponse
    seconds: float | None = None
    inputs: Tensors = field(default_factory=dict)
    superhuman: bool = False


class PredictServicer:
    """Draws ghosts: features from upstream, a model version by the routing, its outputs from Triton."""

    def __init__(
        self,
        registry: Registry,
        model_server: ModelServer,
        features: Upstream,
        router: Router,
        answering: Answering[Drawn],
        arm_callers: Iterable[IPv4Network | IPv6Network],
    ) -> None:
        self._registry = registry
        self._model_server = model_server
        self._features = features
        self._router = router
        self._answering = answering
        self._arm_callers = tuple(arm_callers)

    async def PredictGhosts(self, request: pb.PredictGhostsRequest, context: Any) -> Message:
        """Predict the ghosts of one play."""
        requests.at_most(request, target_ids=16, defender_ids=32)
        decision = self._decide(request, context)
        interceptor.passed_on.set(((ARM_KEY, decision.arm),) if decision.arm else ())
        drawing = _Drawing(request, self._features, self._model_server)
        arm, drawn = await self._answering.answer(decision, drawing.of)
        if decision.mirrors:
            context.add_done_callback(lambda _: self._answering.mirror(decision, drawing.of))
        response = drawn.response
        response.arm = arm
        response.rollout = decision.rollout.name if decision.rollout else ""
        decided = {ARM_KEY: arm, "x-ghostback-rollout": response.rollout}
        decided["x-ghostback-model-version"] = response.model_version
        await context.send_initial_metadata(tuple((key, value) for key, value in decided.items() if value))
        return response

    def _decide(self, request: pb.PredictGhostsRequest, context: Any) -> Decision:
        name = request.model or _DEFAULT_MODEL
        match = _MODEL_NAME.fullmatch(name)
        if not match:
            form = "models/{model} or models/{model}/versions/{version}"
            raise InvalidInput("NAME_INVALID", [Violation("model", f"{name!r} is not of the form {form}")])
        model, version = match.groups()
        if version:
            return Decision(self._registry.get(model, version), arm="")
        metadata: dict[str, str] = dict(context.invocation_metadata() or ())
        arm = metadata.get(ARM_KEY, "")
        if arm:
            self._check_caller(context.peer())
        play = request.source.name or request.source.play.name
        keys = {
            RoutingKey.PLAY: play or interceptor.request_id.get(),
            RoutingKey.GAME: play.partition("/plays/")[0] or interceptor.request_id.get(),
            RoutingKey.REQUEST: interceptor.request_id.get(),
        }
        if ROUTING_KEY in metadata:
            keys = dict.fromkeys(keys, metadata[ROUTING_KEY])
        return self._router.decide(model, keys, arm)

    def _check_caller(self, peer: str) -> None:
        """Check that a caller may choose its arm; `peer` as gRPC gives it, such as `ipv4:127.0.0.1:4711`."""
        address = unquote(peer.partition(":")[2]).rpartition(":")[0].strip("[]")
        if not any(ip_address(address) in network for network in self._arm_callers):
            raise PermissionDenied("ARM_OVERRIDE_REFUSED", f"callers from {address} may not choose the arm", peer=peer)


class _Drawing:
    """A call's ghosts by any version; features that versions share are asked for once."""

    def __init__(self, request: pb.PredictGhostsRequest, features: Upstream, model_server: ModelServer) -> None:
        self._request = request
        self._features = features
        self._model_server = model_server
        self._known: dict[str, features_service_pb2.ComputeFeaturesResponse] = {}

    async def of(self, version: ModelVersion) -> Drawn:
        """The ghosts that a version draws."""
        with version.in_use():
            return await self._draw(version)

    async def _draw(self, version: ModelVersion) -> Drawn:
        features = await self._features_of(version.manifest.feature_set)
        response = wire.view(pb.PredictGhostsResponse)(
            model_version=version.name,
            setting=names.setting(version.manifest.setting),
            targets=features.targets,
            skipped=features.skipped,
        )
        if not features.rows:
            return Drawn(response)
        tensors = {t.name: wire.read_column(t, "values").reshape(tuple(t.shape)) for t in features.tensors}
        started = time.monotonic()
        outputs = await self._model_server.infer(version, tensors)
        seconds = time.monotonic() - started
        where = np.array([(row.tensor_row, row.slot) for row in features.rows], np.intp).T
        steps_of = {target.participant_id: target.air_steps for target in features.targets}
        air_steps = np.array([steps_of[row.target_id] for row in features.rows])
        paths = ghosts.paths(
            ghosts.of_pairs(outputs[ghosts.OUTPUT], *where),
            np.array([(row.anchor_x, row.anchor_y) for row in features.rows], np.float64),
            features.direction,
            air_steps,
        )
        for row, path in zip(features.rows, paths, strict=True):
            response.ghosts.add(
                defender_id=row.defender_id, target_id=row.target_id, path=convert.path_to_message(path)
            )
        if ghosts.COVARIANCE in outputs:
            told = ghosts.covariances(ghosts.of_pairs(outputs[ghosts.COVARIANCE], *where), air_steps)
            for ghost, covariance in zip(response.ghosts, told, strict=True):
                ghost.covariance.CopyFrom(convert.covariance_to_message(covariance))
        return Drawn(response, seconds, tensors, ghosts.superhuman(paths))

    async def _features_of(self, feature_set: str) -> features_service_pb2.ComputeFeaturesResponse:
        if feature_set not in self._known:
            self._known[feature_set] = await self._features.call(
                "ComputeFeatures",
                wire.view(features_service_pb2.ComputeFeaturesRequest)(
                    source=self._request.source,
                    feature_set=names.feature_set(feature_set),
                    target_ids=self._request.target_ids,
                    defender_ids=self._request.defender_ids,
                ),
            )
        return self._known[feature_set]
