"""What a call asks of a model version, whichever it turns out to be: ghosts, outcomes of passes, plain tensors."""

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ghostback import convert, wire
from ghostback.features.v1 import features_service_pb2
from ghostback.predict.v1 import predict_service_pb2 as pb
from ghostback.tracking.v1 import source_pb2
from services.common import names
from services.common.errors import FailedPrecondition, InvalidInput, Violation
from services.common.upstream import Upstream
from services.predict import ghosts, given_tensors, outcomes
from services.predict.golden import Tensors
from services.predict.outcomes import Outcome
from services.predict.registry import ModelVersion
from services.predict.triton import ModelServer

_MEASUREMENTS = [each.name for each in pb.PassMeasurements.DESCRIPTOR.fields]
"""In the order of the tensor's entries."""


@dataclass(frozen=True, slots=True)
class Attempted:
    """What a model version says of a play; fields as of `answering.Answered`."""

    response: Any
    seconds: float | None = None
    inputs: Tensors = field(default_factory=dict)
    superhuman: bool = False


class Drawing:
    """A call's ghosts by any version; features that versions share are asked for once."""

    def __init__(
        self,
        request: pb.PredictGhostsRequest,
        features: Upstream,
        model_server: ModelServer,
        before_flight: bool = False,
    ) -> None:
        self._request = request
        self._features = features
        self._model_server = model_server
        self._before_flight = before_flight
        self._known: dict[str, features_service_pb2.ComputeFeaturesResponse] = {}

    async def of(self, version: ModelVersion) -> Attempted:
        """The ghosts that a version draws."""
        with version.in_use():
            return await self._draw(version)

    async def _draw(self, version: ModelVersion) -> Attempted:
        features = await self._features_of(version.manifest.feature_set)
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

    async def _features_of(self, feature_set: str) -> features_service_pb2.ComputeFeaturesResponse:
        if feature_set not in self._known:
            self._known[feature_set] = await self._features.call(
                "ComputeFeatures",
                wire.view(features_service_pb2.ComputeFeaturesRequest)(
                    source=self._request.source,
                    feature_set=names.feature_set(feature_set),
                    target_ids=self._request.target_ids,
                    defender_ids=self._request.defender_ids,
                    before_flight=self._before_flight,
                ),
            )
        return self._known[feature_set]


class Forecasting:
    """How a call's passes end by any version; ghosts are drawn once, as are features that versions share."""

    def __init__(
        self,
        request: pb.PredictPassOutcomesRequest,
        features: Upstream,
        model_server: ModelServer,
        draw: Callable[[], Awaitable[pb.PredictGhostsResponse]],
    ) -> None:
        """Make one.

        Args:
            request: the call.
            features: where measurements come from.
            model_server: where models run.
            draw: draws the ghosts of all defensive backs for the call's targets before the flight.
        """
        self._request = request
        self._features = features
        self._model_server = model_server
        self._draw = draw
        self._ghosts: pb.PredictGhostsResponse | None = None
        self._known: dict[str, features_service_pb2.ComputeFeaturesResponse] = {}

    async def of(self, version: ModelVersion) -> Attempted:
        """The outcomes that a version forecasts."""
        with version.in_use():
            return await self._forecast(version)

    async def _forecast(self, version: ModelVersion) -> Attempted:
        live = version.manifest.setting == "live"
        if live and self._ghosts is None:
            self._ghosts = await self._draw()
        features = await self._features_of(version.manifest.feature_set, live)
        if not live:
            _check_actual(features.targets)
        tensors = convert.tensors_from_messages(features.tensors)
        started = time.monotonic()
        probability = (await self._model_server.infer(version, tensors))[outcomes.OUTPUT]
        seconds = time.monotonic() - started
        if not outcomes.are_probabilities(probability):
            raise FailedPrecondition(
                "MODEL_OUTPUT_INVALID", f"{version.id} gave numbers that are no probabilities", version.name
            )
        response = wire.view(pb.PredictPassOutcomesResponse)(
            model_version=version.name,
            setting=names.setting(version.manifest.setting),
            ghost_model_version=self._ghosts.model_version if live and self._ghosts else "",
        )
        for target, row, measured in zip(features.targets, probability, tensors["measurements"], strict=True):
            response.forecasts.add(
                target_id=target.participant_id,
                completion_probability=row[Outcome.COMPLETE],
                interception_probability=row[Outcome.INTERCEPTED],
                measurements=wire.view(pb.PassMeasurements)(
                    **dict(zip(_MEASUREMENTS, measured.tolist(), strict=False))
                ),
            )
        return Attempted(response, seconds, tensors)

    async def _features_of(self, feature_set: str, live: bool) -> features_service_pb2.ComputeFeaturesResponse:
        if feature_set not in self._known:
            request = wire.view(features_service_pb2.ComputeFeaturesRequest)(
                source=self._request.source,
                feature_set=names.feature_set(feature_set),
                target_ids=self._request.target_ids,
                before_flight=live,
            )
            if live and self._ghosts:
                request.ghosts.MergeFrom(self._ghosts.ghosts)
            self._known[feature_set] = await self._features.call("ComputeFeatures", request)
        return self._known[feature_set]


def _check_actual(targets: Iterable[source_pb2.Target]) -> None:
    wrong = [
        Violation(f"target_ids[{i}]", f"{target.participant_id!r} was not thrown to, and nothing arrived there")
        for i, target in enumerate(targets)
        if not target.actual
    ]
    if wrong:
        raise InvalidInput("TARGET_NOT_ELIGIBLE", wrong)


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
