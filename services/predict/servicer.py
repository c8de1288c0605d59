"""`ghostback.predict.v1.PredictService`."""

import re
from typing import Any

import numpy as np
from google.protobuf.message import Message

from ghostback import convert, wire
from ghostback.features.v1 import features_service_pb2
from ghostback.predict.v1 import predict_service_pb2 as pb
from services.common import names, requests
from services.common.errors import InvalidInput, Violation
from services.common.upstream import Upstream
from services.predict import ghosts, routing
from services.predict.registry import ModelVersion, Registry
from services.predict.triton import ModelServer

PREDICT_SERVICE = pb.DESCRIPTOR.services_by_name["PredictService"]

_DEFAULT_MODEL = "models/ghosting"
_MODEL_NAME = re.compile(r"models/([^/]+)(?:/versions/([^/]+))?")


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
        with version.in_use():
            return await self._draw(request, version)

    async def _draw(self, request: pb.PredictGhostsRequest, version: ModelVersion) -> Message:
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
            model_version=version.name,
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
