"""Calls of the predict service: ghosts and forecasts."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ghostback import convert, wire
from ghostback.calls.connection import Connection, source
from ghostback.play import Play
from ghostback.predict.v1 import predict_service_pb2
from ghostback.results import Ghost, Outputs, Prediction, Target, Yards, YardsAfterCatch, YardsForecast


class PredictCalls(Connection):
    """Ghosts and forecasts."""

    async def predict_ghosts(
        self, play: str | Play, target_ids: Sequence[str] = (), defender_ids: Sequence[str] = (), model: str = ""
    ) -> Prediction:
        """Ghosts of a play, given by name or whole, for some targets; by default for the actual one."""
        request = wire.view(predict_service_pb2.PredictGhostsRequest)(
            source=source(play), target_ids=target_ids, defender_ids=defender_ids, model=model
        )
        response = await self.predict.PredictGhosts(request, timeout=self._timeout)
        return Prediction(
            model_version=response.model_version,
            targets=tuple(
                Target(
                    target.participant_id,
                    target.actual,
                    convert.path_from_message(target.receiver, "receiver"),
                    convert.path_from_message(target.ball, "ball"),
                )
                for target in response.targets
            ),
            ghosts=tuple(
                Ghost(
                    ghost.defender_id,
                    ghost.target_id,
                    convert.path_from_message(ghost.path, "path"),
                    convert.covariance_from_message(ghost.covariance, "covariance")
                    if ghost.HasField("covariance")
                    else None,
                )
                for ghost in response.ghosts
            ),
            skipped={skipped.participant_id: skipped.description for skipped in response.skipped},
            message=response,
        )

    async def predict_pass_outcomes(
        self,
        play: str | Play,
        target_ids: Sequence[str] = (),
        model: str = "",
        ghost_model: str = "",
        ghost_draws: int = 0,
        by_defender: bool = False,
    ) -> predict_service_pb2.PredictPassOutcomesResponse:
        """How a pass to each of some targets ends (default: to the one thrown to), at the throw.

        Args:
            play: its name, or the play itself with samples.
            target_ids: receivers.
            model: a model or a version of one (default: `models/pass-outcome`); `models/pass-outcome-retrospective`
                tells at arrival, of the receiver thrown to.
            ghost_model: what draws the ghosts, likewise (default: `models/ghosting`).
            ghost_draws: how often they are drawn anew, to tell how sure the forecasts are; at the throw.
            by_defender: whether to tell also of each defensive back's ghost in his place; at arrival.
        """
        request = wire.view(predict_service_pb2.PredictPassOutcomesRequest)(
            source=source(play),
            target_ids=target_ids,
            model=model,
            ghost_model=ghost_model,
            ghost_draws=ghost_draws,
            by_defender=by_defender,
        )
        response: predict_service_pb2.PredictPassOutcomesResponse = await self.predict.PredictPassOutcomes(
            request, timeout=self._timeout
        )
        return response

    async def predict_yards_after_catch(
        self,
        play: str | Play,
        target_ids: Sequence[str] = (),
        model: str = "",
        ghost_model: str = "",
        ghost_draws: int = 0,
    ) -> YardsForecast:
        """How far each of some targets runs once he has caught a pass (default: the one thrown to), at the throw.

        Args:
            play: its name, or the play itself with samples.
            target_ids: receivers.
            model: a model or a version of one (default: `models/yards-after-catch`);
                `models/yards-after-catch-retrospective` tells at the catch, of the receiver thrown to.
            ghost_model: what draws the ghosts, likewise (default: `models/ghosting`).
            ghost_draws: how often they are drawn anew, to tell how sure the forecasts are; at the throw.
        """
        request = wire.view(predict_service_pb2.PredictYardsAfterCatchRequest)(
            source=source(play),
            target_ids=target_ids,
            model=model,
            ghost_model=ghost_model,
            ghost_draws=ghost_draws,
        )
        response = await self.predict.PredictYardsAfterCatch(request, timeout=self._timeout)
        return YardsForecast(
            model_version=response.model_version,
            ghost_model_version=response.ghost_model_version,
            targets=tuple(
                YardsAfterCatch(
                    forecast.target_id,
                    forecast.air_yards,
                    _yards(forecast.yards),
                    tuple(map(_yards, forecast.drawn_yards)),
                )
                for forecast in response.forecasts
            ),
            message=response,
        )

    async def predict_tensors(
        self, feature_set: str, plays: Mapping[str, Mapping[str, NDArray[np.floating]]], model: str = ""
    ) -> dict[str, Outputs]:
        """What a model gives for tensors of a feature set, `featureSets/{set}@{version}`.

        Args:
            feature_set: the feature set.
            plays: by what each is routed by, such as its name: tensors (n_rows, ...) by name.
            model: a model or a version of one (default: `models/ghosting`).
        """
        request = wire.view(predict_service_pb2.PredictTensorsRequest)(model=model, feature_set=feature_set)
        for key, tensors in plays.items():
            request.plays.add(routing_key=key, tensors=convert.tensors_to_messages(tensors))
        response = await self.predict.PredictTensors(request, timeout=self._timeout)
        return {
            key: Outputs(play.model_version, play.arm, play.rollout, convert.tensors_from_messages(play.outputs))
            for key, play in zip(plays, response.plays, strict=True)
        }


def _yards(message: predict_service_pb2.YardsDistribution) -> Yards:
    return Yards(message.first_yards, wire.read_column(message, "probabilities").astype(np.float64))
