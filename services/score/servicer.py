"""`ghostback.score.v1.ScoreService`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf.message import Message
from numpy.typing import NDArray
from prometheus_client import Counter

from ghostback import convert, wire
from ghostback.score.v1 import score_service_pb2 as pb
from services.common import paging, plays, requests
from services.common.errors import InvalidInput, Violation
from services.common.operations import Operations, Report
from services.common.upstream import Upstream
from services.score import evaluation, metrics, profiles, trajectories
from services.score.evaluation import Evaluation, Subject
from services.score.profiles import ScoreProfile
from services.score.upstreams import Upstreams

SCORE_SERVICE = pb.DESCRIPTOR.services_by_name["ScoreService"]

_SCORES = Counter("ghostback_scores_total", "Trajectories scored, by score profile.", ["score_profile"])
_COLLECTION = "scoreProfiles"
_SUBJECTS = {
    Subject.ACTUAL: pb.SUBJECT_ACTUAL,
    Subject.MODEL: pb.SUBJECT_MODEL,
    Subject.MODEL_SPOILED: pb.SUBJECT_MODEL_SPOILED,
}

Points = NDArray[np.float64]


class ScoreServicer:
    """Scores trajectories given in the call, looked up, or predicted."""

    def __init__(self, ingest: Upstream, upstreams: Upstreams, operations: Operations) -> None:
        self._ingest = ingest
        self._upstreams = upstreams
        self._operations = operations

    async def ListScoreProfiles(self, request: pb.ListScoreProfilesRequest, context: Any) -> Message:
        """List the score profiles."""
        page, token = paging.page_of(profiles.PROFILES, request, "ListScoreProfiles")
        messages = [
            wire.view(pb.ScoreProfile)(name=_name(p), description=p.description, default=p is profiles.DEFAULT)
            for p in page
        ]
        return wire.view(pb.ListScoreProfilesResponse)(score_profiles=messages, next_page_token=token)

    async def ScorePlay(self, request: pb.ScorePlayRequest, context: Any) -> Message:
        """Score the actual trajectories of a play, or ghosts."""
        profile = _profile(request.score_profile, "score_profile")
        response = wire.view(pb.ScorePlayResponse)(score_profile=_name(profile))
        match request.WhichOneof("subject"):
            case "actual":
                play = await plays.resolve(request.actual, self._ingest, "actual")
                actual = trajectories.actual(play)
                _add(response, actual.target_id, actual.receiver, actual.paths, profile)
                for name, description in actual.skipped.items():
                    response.skipped.add(participant_id=name, description=description)
            case "ghosts":
                for target, (receiver, paths) in _ghosts(request.ghosts).items():
                    _add(response, target, receiver, paths, profile)
            case _:
                raise InvalidInput("FIELD_REQUIRED", [Violation("subject", "needs actual or ghosts")])
        return response

    async def EvaluateModel(self, request: pb.EvaluateModelRequest, context: Any) -> Message:
        """Start scoring a model on every pass of a game."""
        requests.game_id(request.parent, "parent")
        requests.at_most(request, score_profiles=8)
        if not 0 <= request.spoiled_fraction <= 1:
            raise InvalidInput(
                "FIELD_INVALID", [Violation("spoiled_fraction", f"is {request.spoiled_fraction}, must be 0 to 1")]
            )
        names = request.score_profiles or [""]
        chosen = [_profile(name, f"score_profiles[{i}]") for i, name in enumerate(names)]
        passes = evaluation.passes(await self._upstreams.plays_of(request.parent))

        async def work(report: Report) -> Message:
            def progress(done: int, total: int) -> None:
                report(wire.view(pb.EvaluateModelMetadata)(done_count=done, total_count=total))

            progress(0, len(passes))
            version = await self._upstreams.in_service(request.model)
            return _result(
                await evaluation.evaluate(
                    passes, version, chosen, request.spoiled_fraction, request.seed, self._upstreams, progress
                )
            )

        return wire.view(pb.EvaluateModelResponse)(operation=self._operations.start(work))


def _ghosts(message: pb.GhostSet) -> dict[str, tuple[Points, dict[str, Points]]]:
    """Receiver's path and defenders' paths, by target.

    Raises:
        InvalidInput: there are none or too many, or a path does not fit its target.
    """
    for name, limit in (("targets", 16), ("ghosts", 512)):
        count = len(getattr(message, name))
        if not 0 < count <= limit:
            violation = Violation(f"ghosts.{name}", f"has {count} entries, must have 1 to {limit}")
            raise InvalidInput("FIELD_INVALID", [violation])
    found: dict[str, tuple[Points, dict[str, Points]]] = {}
    for i, target in enumerate(message.targets):
        receiver = convert.path_from_message(target.receiver, f"ghosts.targets[{i}].receiver")
        if len(receiver) < 2:
            raise InvalidInput(
                "FIELD_INVALID", [Violation(f"ghosts.targets[{i}].receiver", f"has {len(receiver)} points, needs 2")]
            )
        found[target.participant_id] = (receiver, {})
    for i, ghost in enumerate(message.ghosts):
        field = f"ghosts.ghosts[{i}]"
        if ghost.target_id not in found:
            raise InvalidInput(
                "FIELD_INVALID", [Violation(f"{field}.target_id", f"{ghost.target_id!r} is not among the targets")]
            )
        receiver, paths = found[ghost.target_id]
        path = convert.path_from_message(ghost.path, f"{field}.path")
        if len(path) != len(receiver):
            violation = Violation(f"{field}.path", f"has {len(path)} points, its target's path has {len(receiver)}")
            raise InvalidInput("FIELD_INVALID", [violation])
        paths[ghost.defender_id] = path
    return found


def _add(
    response: pb.ScorePlayResponse, target: str, receiver: Points, paths: Mapping[str, Points], profile: ScoreProfile
) -> None:
    if not paths:
        return
    scores = metrics.score_trajectories(np.stack(list(paths.values())), receiver, profile)
    for i, defender in enumerate(paths):
        response.trajectories.add(
            defender_id=defender,
            target_id=target,
            score=scores.score[i],
            positional_convergence=scores.positional_convergence[i],
            distance_ratio=scores.distance_ratio[i],
            superhuman_steps=scores.superhuman_steps[i],
            initial_distance=scores.initial_distance[i],
        )
    response.plays.add(target_id=target, score=metrics.play_score(scores, profile))
    _SCORES.labels(profile.id).inc(len(paths))


def _result(result: Evaluation) -> Message:
    return wire.view(pb.EvaluateModelResult)(
        model_version=result.model_version,
        setting=result.setting,  # type: ignore[arg-type]
        scores=map(_model_score, result.scores),
        skipped=[
            wire.view(pb.SkippedPlay)(play=name, description=description)
            for name, description in result.skipped.items()
        ],
    )


def _model_score(score: evaluation.Score) -> pb.ModelScore:
    return wire.view(pb.ModelScore)(
        subject=_SUBJECTS[score.subject],
        score_profile=_name(score.profile),
        mean_trajectory_score=score.trajectory_scores.mean(),
        trajectory_count=len(score.trajectory_scores),
        mean_play_score=score.play_scores.mean(),
        play_count=len(score.play_scores),
    )


def _profile(name: str, field: str) -> ScoreProfile:
    return profiles.get(requests.resource_id(name, _COLLECTION, field) if name else "")


def _name(profile: ScoreProfile) -> str:
    return f"{_COLLECTION}/{profile.id}"
