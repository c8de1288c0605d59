"""`ghostback.predict.v1`: PredictService and ModelService."""

import re
from typing import Any

import numpy as np
from google.protobuf.message import Message

from ghostback import convert, wire
from ghostback.features.v1 import features_service_pb2
from ghostback.predict.v1 import predict_service_pb2 as pb
from services.common import names, paging, requests
from services.common.errors import InvalidInput, Violation
from services.common.upstream import Upstream
from services.predict import ghosts, routing
from services.predict.registry import ModelVersion, Registry, State
from services.predict.triton import ModelServer

PREDICT_SERVICE = pb.DESCRIPTOR.services_by_name["PredictService"]
MODEL_SERVICE = pb.DESCRIPTOR.services_by_name["ModelService"]

_DEFAULT_MODEL = "models/ghosting"
_MODEL_NAME = re.compile(r"models/([^/]+)(?:/versions/([^/]+))?")
_STATES = {
    State.VERIFIED: pb.MODEL_VERSION_STATE_VERIFIED,
    State.READY: pb.MODEL_VERSION_STATE_READY,
    State.FAILED: pb.MODEL_VERSION_STATE_FAILED,
}


class PredictServicer:
    """Draws ghosts: features from upstream, a model version by the routing, its outputs from Triton."""

    def __init__(self, registry: Registry, model_server: ModelServer, features: Upstream) -> None:
        self._registry = registry
        self._model_server = model_server
        self._features = features

    async def PredictGhosts(self, request: pb.PredictGhostsRequest, context: Any) -> Message:
        """Predict the ghosts of one play."""
        requests.at_most(request, target_ids=16, defender_ids=32)
        version = self._version(request.model or _DEFAULT_MODEL)
        features = await self._features.call(
            "ComputeFeatures",
            wire.view(features_service_pb2.ComputeFeaturesRequest)(
                source=request.source,
                feature_set=names.feature_set(version.manifest.feature_set),
                target_ids=request.target_ids,
                defender_ids=request.defender_ids,
            ),
        )
        response = wire.view(pb.PredictGhostsResponse)(
            model_version=_name(version),
            setting=names.setting(version.manifest.setting),
            targets=features.targets,
            skipped=features.skipped,
        )
        if not features.rows:
            return response
        tensors = {t.name: wire.read_column(t, "values").reshape(tuple(t.shape)) for t in features.tensors}
        outputs = await self._model_server.infer(version, tensors)
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
        return response

    def _version(self, name: str) -> ModelVersion:
        match = _MODEL_NAME.fullmatch(name)
        if not match:
            form = "models/{model} or models/{model}/versions/{version}"
            raise InvalidInput("NAME_INVALID", [Violation("model", f"{name!r} is not of the form {form}")])
        model, version = match.groups()
        return self._registry.get(model, version) if version else routing.choose(self._registry, model)


class ModelServicer:
    """Tells which model versions there are."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def ListModelVersions(self, request: pb.ListModelVersionsRequest, context: Any) -> Message:
        """List the model versions."""
        page, token = paging.page_of(self._registry.versions, request, "ListModelVersions")
        return wire.view(pb.ListModelVersionsResponse)(model_versions=map(_message, page), next_page_token=token)

    async def GetModelVersion(self, request: pb.GetModelVersionRequest, context: Any) -> Message:
        """Give one model version."""
        match = _MODEL_NAME.fullmatch(request.name)
        if not match or not match[2]:
            form = "models/{model}/versions/{version}"
            raise InvalidInput("NAME_INVALID", [Violation("name", f"{request.name!r} is not of the form {form}")])
        version = self._registry.get(match[1], match[2])
        return wire.view(pb.GetModelVersionResponse)(model_version=_message(version))


def _name(version: ModelVersion) -> str:
    return f"models/{version.manifest.name}/versions/{version.manifest.version}"


def _message(version: ModelVersion) -> pb.ModelVersion:
    manifest = version.manifest
    return wire.view(pb.ModelVersion)(
        name=_name(version),
        task=manifest.task,
        description=manifest.description,
        setting=names.setting(manifest.setting),
        feature_set=names.feature_set(manifest.feature_set),
        artifact_sha256=manifest.artifact.sha256,
        distribution=version.distribution,
        state=_STATES[version.state],
        state_description=version.problem,
    )
