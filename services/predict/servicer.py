"""`ghostback.predict.v1.PredictService`."""

import asyncio
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any
from urllib.parse import unquote

import numpy as np
from google.protobuf.message import Message
from prometheus_client import Counter

from ghostback import convert, wire
from ghostback.features.v1 import features_service_pb2
from ghostback.predict.v1 import predict_service_pb2 as pb
from services.common import identity, interceptor, names, requests
from services.common.errors import InvalidInput, PermissionDenied, Violation
from services.common.upstream import Upstream
from services.predict import ghosts, given_tensors
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
_GHOSTS = Counter("ghostback_ghosts_total", "Ghosts drawn, by arm and model version.", ["arm", "model_version"])
_MODEL_NAME = re.compile(r"models/([^/]+)(?:/versions/([^/]+))?")


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a model version says of a play; fields as of `answering.Answered`."""

    response: Any
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
        [decision] = self._decide(request.model, [request.source.name or request.source.play.name], context)
        interceptor.passed_on.set(((ARM_KEY, decision.arm),) if decision.arm else ())
        drawing = _Drawing(request, self._features, self._model_server)
        arm, drawn = await self._answering.answer(decision, drawing.of)
        context.add_done_callback(lambda _: self._answering.conclude(decision, arm, drawn, drawing.of))
        response: pb.PredictGhostsResponse = drawn.response
        response.arm = arm
        response.rollout = decision.rollout.name if decision.rollout else ""
        _GHOSTS.labels(arm, response.model_version).inc(len(response.ghosts))
        decided = {ARM_KEY: arm, "x-ghostback-rollout": response.rollout}
        decided["x-ghostback-model-version"] = response.model_version
        await context.send_initial_metadata(tuple((key, value) for key, value in decided.items() if value))
        return response

    async def PredictTensors(self, request: pb.PredictTensorsRequest, context: Any) -> Message:
        """Run a model on tensors of many plays."""
        requests.at_most(request, plays=256)
        if not request.plays:
            raise InvalidInput("FIELD_REQUIRED", [Violation("plays", "is empty")])
        feature_set = requests.resource_id(request.feature_set, "featureSets", "feature_set")
        decided = self._decide(request.model, [play.routing_key for play in request.plays], context)
        decisions = [decision.for_feature_set(feature_set) for decision in decided]
        runs = [
            _Running(play, f"plays[{i}]", decision.stable, self._model_server)
            for i, (play, decision) in enumerate(zip(request.plays, decisions, strict=True))
        ]
        asked = [self._answering.answer(d, r.of) for d, r in zip(decisions, runs, strict=True)]
        answers = [await asked[0]] if len(asked) == 1 else await asyncio.gather(*asked)
        response = wire.view(pb.PredictTensorsResponse)()
        for decision, run, (arm, ran) in zip(decisions, runs, answers, strict=True):
            conclude = partial(self._answering.conclude, decision, arm, ran, run.of)
            context.add_done_callback(lambda _, conclude=conclude: conclude())
            ran.response.arm, ran.response.rollout = arm, decision.rollout.name if decision.rollout else ""
            response.plays.append(ran.response)
        return response

    def _decide(self, model_name: str, plays: Sequence[str], context: Any) -> list[Decision]:
        name = model_name or _DEFAULT_MODEL
        match = _MODEL_NAME.fullmatch(name)
        if not match:
            form = "models/{model} or models/{model}/versions/{version}"
            raise InvalidInput("NAME_INVALID", [Violation("model", f"{name!r} is not of the form {form}")])
        model, version = match.groups()
        if version:
            return [Decision(self._registry.get(model, version), arm="")] * len(plays)
        metadata: dict[str, str] = dict(context.invocation_metadata() or ())
        arm = metadata.get(ARM_KEY, "")
        if arm:
            self._check_caller(context.peer())
        if ROUTING_KEY in metadata:
            keys = dict.fromkeys(RoutingKey, metadata[ROUTING_KEY])
            return [self._router.decide(model, keys, arm) for _ in plays]
        return [self._router.decide(model, _keys(play), arm) for play in plays]

    def _check_caller(self, peer: str) -> None:
        """Check that a caller may choose its arm, where its identity was not asked for that.

        `peer` as gRPC gives it, such as `ipv4:127.0.0.1:4711`.
        """
        if identity.caller.get():
            return
        address = unquote(peer.partition(":")[2]).rpartition(":")[0].strip("[]")
        if not any(ip_address(address) in network for network in self._arm_callers):
            raise PermissionDenied("ARM_OVERRIDE_REFUSED", f"callers from {address} may not choose the arm", peer=peer)


def _keys(play: str) -> dict[RoutingKey, str]:
    """What a play offers to route by."""
    request = interceptor.request_id.get()
    return {
        RoutingKey.PLAY: play or request,
        RoutingKey.GAME: play.partition("/plays/")[0] or request,
        RoutingKey.REQUEST: request,
    }


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
        tensors = convert.tensors_from_messages(features.tensors)
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


class _Running:
    """A play's tensors through any version."""

    def __init__(self, play: pb.PlayTensors, field: str, stable: ModelVersion, model_server: ModelServer) -> None:
        self._play = play
        self._field = f"{field}.tensors"
        self._declared = stable.manifest.inputs
        self._inputs = given_tensors.read(play.tensors, self._declared, self._field)
        self._model_server = model_server

    async def of(self, version: ModelVersion) -> Drawn:
        """What a version gives."""
        inputs, declared = self._inputs, version.manifest.inputs
        if declared != self._declared:
            inputs = given_tensors.read(self._play.tensors, declared, self._field)
        started = time.monotonic()
        outputs = await self._model_server.infer(version, inputs)
        seconds = time.monotonic() - started
        response = wire.view(pb.PlayOutputs)(model_version=version.name, outputs=convert.tensors_to_messages(outputs))
        return Drawn(response, seconds, inputs)
