"""What score pulls from `ingest` and `predict`, and reports to `predict`."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import numpy as np
from google.protobuf.message import Message
from numpy.typing import NDArray

from ghostback import convert, wire
from ghostback.ingest.v1 import ingest_service_pb2
from ghostback.play import Game, PassOutcome, Play
from ghostback.predict.v1 import predict_service_pb2, rollout_service_pb2
from ghostback.tracking.v1 import source_pb2
from services.common import plays
from services.common.errors import FailedPrecondition, may_pass
from services.common.upstream import Upstream
from services.score import losses
from services.score.decisions import DRAWS, Forecast, Options
from services.score.evaluation import Ghosts
from services.score.judge import Judgement, Rollout
from services.score.statistics import Arrival, Run, yards_after_catch

PREDICT_SERVICE = predict_service_pb2.DESCRIPTOR.services_by_name["PredictService"]
MODEL_SERVICE = predict_service_pb2.DESCRIPTOR.services_by_name["ModelService"]
ROLLOUT_SERVICE = rollout_service_pb2.DESCRIPTOR.services_by_name["RolloutService"]

_DEFAULT_MODEL = "models/ghosting"
_OUTCOME_AT_ARRIVAL = "models/pass-outcome-retrospective"
_YARDS_AT_CATCH = "models/yards-after-catch-retrospective"
_WATCH_SECONDS = 60.0
"""A stream is opened anew after so long, for one whose other end is gone may never tell."""
_LIVE_SECONDS = 600.0
"""The same for live plays, of which nothing is told between two streams."""


class Upstreams:
    """Plays from `ingest`, ghosts and rollouts from `predict`."""

    def __init__(self, ingest: Upstream, predict: Upstream, models: Upstream, rollouts: Upstream) -> None:
        self._ingest = ingest
        self._predict = predict
        self._models = models
        self._rollouts = rollouts
        self._tasks: dict[str, str] = {}

    async def plays_of(self, game: str) -> list[Play]:
        """The plays of a game, without samples."""
        return await plays.of_game(game, self._ingest)

    async def play(self, name: str) -> Play:
        """A play with samples."""
        return await plays.look_up(name, self._ingest)

    async def revised(self, name: str) -> tuple[Play, int]:
        """A play as it is now, with the samples it has, and its revision."""
        response = await self._ingest.call("GetPlay", wire.view(ingest_service_pb2.GetPlayRequest)(name=name))
        return convert.play_from_message(response.play), response.play.revision

    async def game(self, name: str) -> Game:
        """A game."""
        response = await self._ingest.call("GetGame", wire.view(ingest_service_pb2.GetGameRequest)(name=name))
        return convert.game_from_message(response.game)

    async def in_service(self, model: str) -> str:
        """The version of a model that is in service; a version stays what it is, and so does what has none."""
        if "/versions/" in model:
            return model
        request = wire.view(predict_service_pb2.GetModelRequest)(name=model or _DEFAULT_MODEL)
        response = await self._models.call("GetModel", request)
        return response.model.serving_version or request.name

    async def ghosts(self, play: Play, model: str) -> Ghosts:
        """Ghosts of every defensive back for the receiver who was targeted."""
        request = _of_play(predict_service_pb2.PredictGhostsRequest, play, model=model)
        response = await self._predict.call("PredictGhosts", request)
        return Ghosts(
            response.model_version,
            response.setting,
            {
                ghost.defender_id: convert.path_from_message(ghost.path, f"ghosts[{i}].path")
                for i, ghost in enumerate(response.ghosts)
            },
        )

    async def options(self, play: Play, draws: int = DRAWS) -> Options:
        """Forecasts of passes to every eligible receiver, made as the ball leaves the hand.

        Where a pass to one of them cannot be forecast, each is asked for alone, and he is left out.
        """
        targets = [receiver.participant_id for receiver in play.eligible_receivers()]
        try:
            return await self._options(play, targets, draws)
        except FailedPrecondition as error:
            if len(targets) < 2 or may_pass(error):
                raise
        alone = [self._options(play, [target], draws) for target in targets]
        parts = await asyncio.gather(*alone, return_exceptions=True)
        found = [part for part in parts if isinstance(part, Options)]
        problems = [part for part in parts if isinstance(part, BaseException)]
        for problem in problems:
            if not found or not isinstance(problem, FailedPrecondition) or may_pass(problem):
                raise problem
        return Options(tuple(each for part in found for each in part.forecasts), found[0].model_versions)

    async def _options(self, play: Play, targets: Sequence[str], draws: int) -> Options:
        asked = {"target_ids": targets, "ghost_draws": draws}
        outcomes, yards = await asyncio.gather(self._outcomes(play, **asked), self._yards(play, **asked))
        forecasts = [
            Forecast(
                ending.target_id,
                _with_draws(ending, "completion_probability"),
                _with_draws(ending, "interception_probability"),
                run.air_yards,
                run.yards.first_yards,
                np.array([_probabilities(each) for each in (run.yards, *run.drawn_yards)]),
            )
            for ending, run in zip(outcomes.forecasts, yards.forecasts, strict=True)
        ]
        return Options(tuple(forecasts), _versions(outcomes, yards))

    async def at_throw(self, play: Play) -> tuple[float, float]:
        """Probability that the receiver thrown to catches the ball, and that a defender does, at the throw."""
        [ending] = (await self._outcomes(play)).forecasts
        return ending.completion_probability, ending.interception_probability

    async def arrival(self, play: Play) -> Arrival:
        """Forecast of the pass as it arrived."""
        response = await self._outcomes(play, model=_OUTCOME_AT_ARRIVAL, by_defender=True)
        [ending] = response.forecasts
        return Arrival(
            ending.completion_probability,
            ending.interception_probability,
            {each.defender_id: each.completion_probability for each in response.by_defender},
            _versions(response),
        )

    async def run(self, play: Play) -> Run:
        """Forecast of the run after the catch."""
        response = await self._yards(play, model=_YARDS_AT_CATCH)
        [run] = response.forecasts
        probability = _probabilities(run.yards)
        each = run.yards.first_yards + np.arange(len(probability))
        return Run(float(probability @ each), _versions(response))

    async def _outcomes(self, play: Play, **asked: Any) -> Any:
        request = _of_play(predict_service_pb2.PredictPassOutcomesRequest, play, **asked)
        return await self._predict.call("PredictPassOutcomes", request)

    async def _yards(self, play: Play, **asked: Any) -> Any:
        request = _of_play(predict_service_pb2.PredictYardsAfterCatchRequest, play, **asked)
        return await self._predict.call("PredictYardsAfterCatch", request)

    async def rollouts(self) -> list[Rollout]:
        """The rollouts that have not ended."""
        request = wire.view(rollout_service_pb2.ListRolloutsRequest)(active_only=True, page_size=1000)
        response = await self._rollouts.call("ListRollouts", request)
        return [
            Rollout(
                rollout.name,
                rollout.create_time.ToDatetime(UTC),
                rollout.arms[0].model_version,
                {arm.arm: arm.model_version for arm in rollout.arms[1:] if not arm.problem},
                await self._task(rollout.name.partition("/rollouts/")[0]),
            )
            for rollout in response.rollouts
        ]

    async def _task(self, model: str) -> str:
        """What a model does; it never does anything else."""
        if model not in self._tasks:
            request = wire.view(predict_service_pb2.GetModelRequest)(name=model)
            self._tasks[model] = (await self._models.call("GetModel", request)).model.task
        return self._tasks[model]

    async def loss(self, play: Play, task: str, model: str) -> float:
        """Loss of the forecast of what became of the receiver who was targeted, lower is better.

        Raises:
            FailedPrecondition: the play does not tell what became of him, or the task is judged by nothing.
        """
        thrown = play.forward_pass
        if task == "pass-outcome" and thrown and thrown.outcome:
            [ending] = (await self._outcomes(play, model=model)).forecasts
            chances = losses.chances(ending.completion_probability, ending.interception_probability)
            return losses.log_loss(chances[thrown.outcome])
        ran = yards_after_catch(play) if thrown and thrown.outcome is PassOutcome.COMPLETE else None
        if task == "yards-after-catch" and ran is not None:
            [forecast] = (await self._yards(play, model=model)).forecasts
            return losses.crps(_probabilities(forecast.yards), forecast.yards.first_yards, ran)
        raise FailedPrecondition("PLAY_WITHOUT_PASS", f"{play.name} does not tell what {task} forecasts", play.name)

    async def completed(self, after: datetime, resume: str) -> AsyncGenerator[tuple[Play, str], None]:
        """Plays of all games completed after a time, without samples, each with what to resume from after it."""
        request = wire.view(ingest_service_pb2.WatchPlaysRequest)(resume_token=resume)
        request.completed_after.FromDatetime(after)
        async with aclosing(self._ingest.stream("WatchPlays", request, _WATCH_SECONDS)) as responses:
            async for response in responses:
                yield convert.play_from_message(response.play), response.resume_token

    async def live(self) -> AsyncGenerator[Play, None]:
        """Plays as they change from now on, without samples, and as they are over; ends now and then."""
        request = wire.view(ingest_service_pb2.WatchPlaysRequest)(live=True)
        request.completed_after.GetCurrentTime()
        async with aclosing(self._ingest.stream("WatchPlays", request, _LIVE_SECONDS)) as responses:
            async for response in responses:
                yield convert.play_from_message(response.play)

    async def record(self, rollout: str, judgements: Sequence[Judgement]) -> None:
        """Report judgements; one that was reported before changes nothing."""
        request = wire.view(rollout_service_pb2.RecordEvidenceRequest)(name=rollout)
        for each in judgements:
            request.judgements.add(
                play=each.play,
                arm=each.arm,
                stable_ade=each.stable.ade,
                arm_ade=each.candidate.ade,
                stable_score=each.stable.score,
                arm_score=each.candidate.score,
                stable_loss=each.stable.loss,
                arm_loss=each.candidate.loss,
            )
        await self._rollouts.call("RecordEvidence", request)


def _of_play(kind: type[Message], play: Play, **asked: Any) -> Message:
    """A request about a play that it brings along."""
    return wire.view(kind)(source=wire.view(source_pb2.PlaySource)(play=convert.play_to_message(play)), **asked)


def _with_draws(ending: Any, name: str) -> NDArray[np.float64]:
    """A probability of a forecast (1 + n_draws,), and that for each draw."""
    drawn = wire.read_column(ending, f"drawn_{name.removesuffix('y')}ies")
    return np.array([getattr(ending, name), *drawn], np.float64)


def _probabilities(yards: Any) -> NDArray[np.float64]:
    """Probabilities of a distribution of yards."""
    return wire.read_column(yards, "probabilities").astype(np.float64)


def _versions(*responses: Any) -> tuple[str, ...]:
    """The model versions that made some forecasts, each once."""
    names = [name for each in responses for name in (each.model_version, each.ghost_model_version) if name]
    return tuple(dict.fromkeys(names))
