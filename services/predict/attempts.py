"""What a call asks of a model version, whichever it turns out to be: ghosts, outcomes of passes, plain tensors."""

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ghostback import convert, wire
from ghostback.features.v1 import features_service_pb2
from ghostback.predict.v1 import predict_service_pb2 as pb
from services.common import names
from services.common.upstream import Upstream
from services.predict import ghosts, given_tensors
from services.predict.golden import Tensors
from services.predict.registry import ModelVersion
from services.predict.triton import ModelServer


@dataclass(frozen=True, slots=True)
class Attempted:
    """What a model version says of a play; fields as of `answering.Answered`."""

    response: Any
    seconds: float | None = None
    inputs: Tensors = field(default_factory=dict)
    superhuman: bool = False


class Features:
    """Features of a call's play; those that versions share are asked for once."""

    def __init__(self, upstream: Upstream, **asked: Any) -> None:
        """Ask for nothing yet.

        Args:
            upstream: the features service.
            asked: fields of every request.
        """
        self._upstream = upstream
        self._asked = asked
        self._known: dict[str, features_service_pb2.ComputeFeaturesResponse] = {}

    async def of(self, feature_set: str, **more: Any) -> features_service_pb2.ComputeFeaturesResponse:
        """Those of a feature set.

        Args:
            feature_set: its id.
            more: fields of its request, the same whenever it is asked for.
        """
        if feature_set not in self._known:
            request = wire.view(features_service_pb2.ComputeFeaturesRequest)(
                feature_set=names.feature_set(feature_set), **self._asked, **more
            )
            self._known[feature_set] = await self._upstream.call("ComputeFeatures", request)
        return self._known[feature_set]


class Drawing:
    """A call's ghosts by any version."""

    def __init__(self, features: Features, model_server: ModelServer) -> None:
        self._features = features
        self._model_server = model_server

    async def of(self, version: ModelVersion) -> Attempted:
        """The ghosts that a version draws."""
        with version.in_use():
            return await self._draw(version)

    async def _draw(self, version: ModelVersion) -> Attempted:
        features = await self._features.of(version.manifest.feature_set)
        response = wire.view(pb.PredictGhostsResponse)(
            model_version=version.name,
            setting=names.setting(version.manifest.setting),
            targets=features.targets,
            skipped=features.skipped,
        )
        if not features.rows:
            return Attempted(response)
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
        return Attempted(response, seconds, tensors, ghosts.superhuman(paths))


class Running:
    """A play's tensors through any version."""

    def __init__(self, play: pb.PlayTensors, field: str, stable: ModelVersion, model_server: ModelServer) -> None:
        self._play = play
        self._field = f"{field}.tensors"
        self._declared = stable.manifest.inputs
        self._inputs = given_tensors.read(play.tensors, self._declared, self._field)
        self._model_server = model_server

    async def of(self, version: ModelVersion) -> Attempted:
        """What a version gives."""
        inputs, declared = self._inputs, version.manifest.inputs
        if declared != self._declared:
            inputs = given_tensors.read(self._play.tensors, declared, self._field)
        started = time.monotonic()
        outputs = await self._model_server.infer(version, inputs)
        seconds = time.monotonic() - started
        response = wire.view(pb.PlayOutputs)(model_version=version.name, outputs=convert.tensors_to_messages(outputs))
        return Attempted(response, seconds, inputs)
