"""What score pulls from `ingest` and `predict`, and reports to `predict`."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime

from ghostback import convert, wire
from ghostback.ingest.v1 import ingest_service_pb2
from ghostback.play import Play
from ghostback.predict.v1 import predict_service_pb2, rollout_service_pb2
from services.common import plays
from services.common.upstream import Upstream
from services.score.evaluation import Ghosts
from services.score.judge import Judgement, Rollout

PREDICT_SERVICE = predict_service_pb2.DESCRIPTOR.services_by_name["PredictService"]
MODEL_SERVICE = predict_service_pb2.DESCRIPTOR.services_by_name["ModelService"]
ROLLOUT_SERVICE = rollout_service_pb2.DESCRIPTOR.services_by_name["RolloutService"]

_DEFAULT_MODEL = "models/ghosting"
_WATCH_SECONDS = 60.0
"""A stream is opened anew after so long, for one whose other end is gone may never tell."""


class Upstreams:
    """Plays from `ingest`, ghosts and rollouts from `predict`."""

    def __init__(self, ingest: Upstream, predict: Upstream, models: Upstream, rollouts: Upstream) -> None:
        self._ingest = ingest
        self._predict = predict
        self._models = models
        self._rollouts = rollouts

    async def plays_of(self, game: str) -> list[Play]:
        """The plays of a game, without samples."""
        return await plays.of_game(game, self._ingest)

    async def play(self, name: str) -> Play:
        """A play with samples."""
        return await plays.look_up(name, self._ingest)

    async def in_service(self, model: str) -> str:
        """The version of a model that is in service; a version stays what it is, and so does what has none."""
        if "/versions/" in model:
            return model
        request = wire.view(predict_service_pb2.GetModelRequest)(name=model or _DEFAULT_MODEL)
        response = await self._models.call("GetModel", request)
        return response.model.serving_version or request.name

    async def ghosts(self, play: Play, model: str) -> Ghosts:
        """Ghosts of every defensive back for the receiver who was targeted."""
        request = wire.view(predict_service_pb2.PredictGhostsRequest)(model=model)
        request.source.play.CopyFrom(convert.play_to_message(play))
        response = await self._predict.call("PredictGhosts", request)
        return Ghosts(
            response.model_version,
            response.setting,
            {
                ghost.defender_id: convert.path_from_message(ghost.path, f"ghosts[{i}].path")
                for i, ghost in enumerate(response.ghosts)
            },
        )

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
            )
            for rollout in response.rollouts
        ]

    async def completed(self, after: datetime, resume: str) -> AsyncGenerator[tuple[Play, str], None]:
        """Plays of all games completed after a time, without samples, each with what to resume from after it."""
        request = wire.view(ingest_service_pb2.WatchPlaysRequest)(resume_token=resume)
        request.completed_after.FromDatetime(after)
        async with aclosing(self._ingest.stream("WatchPlays", request, _WATCH_SECONDS)) as responses:
            async for response in responses:
                yield convert.play_from_message(response.play), response.resume_token

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
            )
        await self._rollouts.call("RecordEvidence", request)
