"""Calls of the score service: scores of trajectories and of models."""

from collections.abc import AsyncIterator, Sequence

from ghostback import wire
from ghostback.calls.connection import Connection, source
from ghostback.play import Play
from ghostback.results import Prediction, Progress
from ghostback.score.v1 import score_service_pb2
from ghostback.tracking.v1 import operation_service_pb2


class ScoreCalls(Connection):
    """Scores of trajectories and of models."""

    async def score_actual(self, play: str | Play, score_profile: str = "") -> score_service_pb2.ScorePlayResponse:
        """Scores of the actual trajectories of a play."""
        request = wire.view(score_service_pb2.ScorePlayRequest)(actual=source(play), score_profile=score_profile)
        response: score_service_pb2.ScorePlayResponse = await self.score.ScorePlay(request, timeout=self._timeout)
        return response

    async def score_ghosts(
        self, prediction: Prediction, score_profile: str = ""
    ) -> score_service_pb2.ScorePlayResponse:
        """Scores of the ghosts of a play."""
        request = wire.view(score_service_pb2.ScorePlayRequest)(score_profile=score_profile)
        request.ghosts.targets.MergeFrom(prediction.message.targets)
        request.ghosts.ghosts.MergeFrom(prediction.message.ghosts)
        response: score_service_pb2.ScorePlayResponse = await self.score.ScorePlay(request, timeout=self._timeout)
        return response

    async def evaluate_model(
        self,
        game: str,
        model: str = "",
        score_profiles: Sequence[str] = (),
        spoiled_fraction: float = 0.0,
        seed: int = 0,
    ) -> AsyncIterator[Progress | score_service_pb2.EvaluateModelResult]:
        """Score a model on every pass of a game: gives progress, then the result.

        Raises:
            RuntimeError: the evaluation failed on the server.
        """
        request = wire.view(score_service_pb2.EvaluateModelRequest)(
            parent=game, model=model, score_profiles=score_profiles, spoiled_fraction=spoiled_fraction, seed=seed
        )
        operation = (await self.score.EvaluateModel(request, timeout=self._timeout)).operation
        wait = wire.view(operation_service_pb2.WaitOperationRequest)(name=operation.name)
        wait.timeout.FromMilliseconds(250)
        while not operation.done:
            operation = (await self.operations.WaitOperation(wait, timeout=self._timeout)).operation
            metadata = score_service_pb2.EvaluateModelMetadata()
            if operation.metadata.Unpack(metadata):
                yield Progress(metadata.done_count, metadata.total_count)
        if operation.HasField("error"):
            raise RuntimeError(operation.error.message)
        result = score_service_pb2.EvaluateModelResult()
        operation.response.Unpack(result)
        yield result
