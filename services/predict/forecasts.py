"""Forecasts of passes by any version: how they end, and how far receivers run."""

import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghostback import convert, wire
from ghostback.predict.v1 import predict_service_pb2 as pb
from ghostback.tracking.v1 import source_pb2
from services.common import names
from services.common.errors import FailedPrecondition, InvalidInput, Violation
from services.predict import outcomes, yards
from services.predict.attempts import Attempted, Features
from services.predict.outcomes import Outcome
from services.predict.registry import ModelVersion
from services.predict.triton import ModelServer

Floats = NDArray[np.float32]
Draw = Callable[[bool], Awaitable[pb.PredictGhostsResponse]]
"""Draws the ghosts of all defensive backs for a call's targets; as they were before the ball flew, or in its flight."""

_MEASUREMENTS = [each.name for each in pb.PassMeasurements.DESCRIPTOR.fields]
"""In the order of the tensor's entries."""


class Forecasting(ABC):
    """A call's forecasts by any version; ghosts are drawn once.

    At the throw, where versions are live, defenders go where their ghosts go. At arrival they are where they were.
    """

    def __init__(self, features: Features, model_server: ModelServer, draw: Draw, n_draws: int = 0) -> None:
        """Forecast nothing yet.

        Args:
            features: of the call's play.
            model_server: where models run.
            draw: draws ghosts.
            n_draws: how often they are drawn anew, at the throw.
        """
        self._features = features
        self._model_server = model_server
        self._draw = draw
        self._n_draws = n_draws
        self._ghosts: pb.PredictGhostsResponse | None = None

    async def of(self, version: ModelVersion) -> Attempted:
        """The forecasts that a version makes."""
        with version.in_use():
            return await self._forecast(version)

    async def _forecast(self, version: ModelVersion) -> Attempted:
        live = version.manifest.setting == "live"
        asked = await self._with_ghosts(live)
        features = await self._features.of(version.manifest.feature_set, before_flight=live, **asked)
        if not live:
            _check_actual(features.targets)
        tensors = convert.tensors_from_messages(features.tensors)
        started = time.monotonic()
        [answer] = (await self._model_server.infer(version, tensors)).values()
        seconds = time.monotonic() - started
        if not outcomes.are_probabilities(answer):
            raise FailedPrecondition(
                "MODEL_OUTPUT_INVALID", f"{version.id} gave numbers that are no probabilities", version.name
            )
        response = self._response(features.targets, tensors["measurements"], answer)
        response.model_version = version.name
        response.setting = names.setting(version.manifest.setting)
        response.ghost_model_version = self._ghosts.model_version if self._ghosts else ""
        return Attempted(response, seconds, tensors)

    async def _with_ghosts(self, live: bool) -> dict[str, Any]:
        """What is asked of features because of ghosts; they are drawn if they were not."""
        if not live:
            return {}
        if self._ghosts is None:
            self._ghosts = await self._draw(True)
        n_draws = self._n_draws if self._ghosts.ghosts else 0
        return {"ghosts": self._ghosts.ghosts, "ghost_draws": n_draws}

    @abstractmethod
    def _response(self, targets: Sequence[source_pb2.Target], measured: Floats, answer: Floats) -> Any:
        """The response to the call.

        Args:
            targets: the targets.
            measured: (n_rows, n) measurements, of the targets first, then of what else was asked for.
            answer: (n_rows, m) probabilities that the model gave.
        """


class PassOutcomes(Forecasting):
    """How passes end."""

    def __init__(
        self, features: Features, model_server: ModelServer, draw: Draw, n_draws: int = 0, by_defender: bool = False
    ) -> None:
        """Forecast nothing yet.

        Args:
            features: of the call's play.
            model_server: where models run.
            draw: draws ghosts.
            n_draws: how often they are drawn anew, at the throw.
            by_defender: whether to tell, at arrival, of each defensive back's ghost in his place.
        """
        super().__init__(features, model_server, draw, n_draws)
        self._by_defender = by_defender

    async def _with_ghosts(self, live: bool) -> dict[str, Any]:
        if not self._by_defender:
            return await super()._with_ghosts(live)
        if live:
            raise InvalidInput("FIELD_INVALID", [Violation("by_defender", "is for models that tell at arrival")])
        if self._ghosts is None:
            self._ghosts = await self._draw(False)
        _check_actual(self._ghosts.targets)
        return {"ghosts": self._ghosts.ghosts, "ghosts_one_by_one": True} if self._ghosts.ghosts else {}

    def _response(
        self, targets: Sequence[source_pb2.Target], measured: Floats, answer: Floats
    ) -> pb.PredictPassOutcomesResponse:
        response = wire.view(pb.PredictPassOutcomesResponse)()
        if self._by_defender and self._ghosts:
            for ghost, row in zip(self._ghosts.ghosts, answer[1:], strict=True):
                response.by_defender.add(
                    defender_id=ghost.defender_id,
                    completion_probability=row[Outcome.COMPLETE],
                    interception_probability=row[Outcome.INTERCEPTED],
                )
            answer = answer[:1]
        for target, rows, known in zip(targets, _by_target(answer, len(targets)), measured, strict=False):
            forecast = response.forecasts.add(
                target_id=target.participant_id,
                completion_probability=rows[0, Outcome.COMPLETE],
                interception_probability=rows[0, Outcome.INTERCEPTED],
                measurements=wire.view(pb.PassMeasurements)(**dict(zip(_MEASUREMENTS, known.tolist(), strict=False))),
            )
            wire.write_column(forecast, "drawn_completion_probabilities", rows[1:, Outcome.COMPLETE])
            wire.write_column(forecast, "drawn_interception_probabilities", rows[1:, Outcome.INTERCEPTED])
        return response


class YardsAfterCatch(Forecasting):
    """How far receivers run once they have caught a pass."""

    def _response(
        self, targets: Sequence[source_pb2.Target], measured: Floats, answer: Floats
    ) -> pb.PredictYardsAfterCatchResponse:
        response = wire.view(pb.PredictYardsAfterCatchResponse)()
        for target, rows, known in zip(targets, _by_target(answer, len(targets)), measured, strict=False):
            response.forecasts.add(
                target_id=target.participant_id,
                yards=_distribution(rows[0]),
                drawn_yards=map(_distribution, rows[1:]),
                air_yards=known[yards.AIR_YARDS],
            )
        return response


def _by_target(answer: Floats, n_targets: int) -> Floats:
    """(n_targets, 1 + n_draws, m) of rows that are of all targets, then of all targets for each draw."""
    return answer.reshape(-1, n_targets, answer.shape[1]).swapaxes(0, 1)


def _distribution(probability: Floats) -> pb.YardsDistribution:
    message = wire.view(pb.YardsDistribution)(first_yards=yards.FIRST_YARDS)
    wire.write_column(message, "probabilities", probability)
    return message


def _check_actual(targets: Iterable[source_pb2.Target]) -> None:
    wrong = [
        Violation(f"target_ids[{i}]", f"{target.participant_id!r} was not thrown to, and nothing arrived there")
        for i, target in enumerate(targets)
        if not target.actual
    ]
    if wrong:
        raise InvalidInput("TARGET_NOT_ELIGIBLE", wrong)
