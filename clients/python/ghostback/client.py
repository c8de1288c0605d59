"""An asynchronous client of the four services: plain data and NumPy in and out."""

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from datetime import datetime
from types import SimpleNamespace, TracebackType
from typing import Self

import grpc.aio
import numpy as np
from numpy.typing import NDArray

from ghostback import channels, convert, streams, wire
from ghostback.channels import PLAIN, Security
from ghostback.features.v1 import features_service_pb2
from ghostback.ingest.v1 import ingest_service_pb2
from ghostback.play import Game, Play, Samples
from ghostback.predict.v1 import predict_service_pb2, rollout_service_pb2
from ghostback.results import (
    Acknowledgement,
    Addresses,
    CompletedPlay,
    Ghost,
    Outputs,
    Prediction,
    Progress,
    QualityReport,
    Target,
    Yards,
    YardsAfterCatch,
    YardsForecast,
    counts,
    reason_name,
)
from ghostback.score.v1 import score_service_pb2, statistics_service_pb2
from ghostback.tracking.v1 import operation_service_pb2, source_pb2

__all__ = [
    "Acknowledgement",
    "Addresses",
    "Client",
    "CompletedPlay",
    "Ghost",
    "Outputs",
    "Prediction",
    "Progress",
    "QualityReport",
    "Target",
    "Yards",
    "YardsAfterCatch",
    "YardsForecast",
]


class Client:
    """One channel to each target; use as an async context manager.

    Every call but a stream has a deadline. Calls that may be repeated are, when a service is unavailable: see
    `ghostback.channels`. Streams go on after a broken connection, without loss and without doubles.

    Raises:
        grpc.aio.AioRpcError: from every call; `grpc_status.rpc_status.from_call` gives its details.
    """

    def __init__(
        self, addresses: Addresses, timeout: float = 30.0, security: Security = PLAIN, patience: float = 30.0
    ) -> None:
        """Connect lazily.

        Args:
            addresses: where the services listen.
            timeout: deadline of each call, seconds.
            security: TLS and token.
            patience: seconds for which a broken stream is opened again and again until it goes on.
        """
        self._timeout, self._patience, self._security = timeout, patience, security
        self._channels: dict[str, grpc.aio.Channel] = {}
        self.ingest = self._stub(addresses.ingest, ingest_service_pb2, "IngestService")
        self.features = self._stub(addresses.features, features_service_pb2, "FeaturesService")
        self.predict = self._stub(addresses.predict, predict_service_pb2, "PredictService")
        self.models = self._stub(addresses.predict, predict_service_pb2, "ModelService")
        self.rollouts = self._stub(addresses.predict, rollout_service_pb2, "RolloutService")
        self.score = self._stub(addresses.score, score_service_pb2, "ScoreService")
        self.statistics = self._stub(addresses.score, statistics_service_pb2, "StatisticsService")
        self.operations = self._stub(addresses.score, operation_service_pb2, "OperationService")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for channel in self._channels.values():
            await channel.close()

    async def update_game(self, game: Game) -> None:
        """Create a game or replace what is known of it."""
        request = wire.view(ingest_service_pb2.UpdateGameRequest)(game=convert.game_to_message(game))
        await self.ingest.UpdateGame(request, timeout=self._timeout)

    async def update_play(self, play: Play, fields: Sequence[str] = (), resend_samples: bool = False) -> None:
        """Create a play or update its metadata: the named fields, or all of them.

        Args:
            play: the play; its samples are ignored.
            fields: names of the fields to change; all of them when empty.
            resend_samples: whether corrected tags of it will be streamed again; it gets a new revision
                without samples, and those before keep theirs.
        """
        request = wire.view(ingest_service_pb2.UpdatePlayRequest)(play=convert.play_to_message(play))
        request.play.ClearField("samples")
        request.update_mask.paths.extend(fields)
        request.resend_samples = resend_samples
        await self.ingest.UpdatePlay(request, timeout=self._timeout)

    def stream_tags(
        self, batches: AsyncIterable[tuple[str, Samples]], stream: str = ""
    ) -> AsyncIterator[Acknowledgement]:
        """Stream batches of (play name, samples); gives an acknowledgement once each is on disk.

        Batches are taken from the caller as the server stores them: 128 at most wait for their acknowledgement.

        Args:
            batches: what to send.
            stream: a name, to go on by itself after a broken connection: no batch is lost, and none that is on
                disk is sent again. After a restart of the caller, call again with the same name and the same
                batches from the first on; those on disk are left out then. Without a name the call ends with
                the connection.

        Raises:
            Exception: what the batches raise, once those before are acknowledged.
        """
        return streams.send_tags(self.ingest.StreamTags, batches, stream, self._patience)

    def watch_plays(
        self, game: str = "", resume_token: str = "", completed_after: datetime | None = None
    ) -> AsyncIterator[CompletedPlay]:
        """Plays that are over, first those that are there, then each as it is completed or corrected; never ends.

        It goes on by itself after a broken connection; each play is read from the server when the caller asks for it.

        Args:
            game: `games/{game}`; all games when empty.
            resume_token: that of the last play seen, to go on after it.
            completed_after: leaves out plays that were completed, and last corrected, up to then; UTC.
        """
        return streams.watch_plays(self.ingest.WatchPlays, game, resume_token, completed_after, self._patience)

    async def get_play(self, name: str, revision: int = 0) -> Play:
        """A play with its clean samples; of a revision, 0 meaning the latest."""
        request = wire.view(ingest_service_pb2.GetPlayRequest)(name=name, revision=revision)
        return convert.play_from_message((await self.ingest.GetPlay(request, timeout=self._timeout)).play)

    async def list_games(self) -> AsyncIterator[Game]:
        """All games, ordered by name."""
        token = ""
        while True:
            request = wire.view(ingest_service_pb2.ListGamesRequest)(page_token=token)
            response = await self.ingest.ListGames(request, timeout=self._timeout)
            for message in response.games:
                yield convert.game_from_message(message)
            token = response.next_page_token
            if not token:
                return

    async def list_plays(self, game: str) -> AsyncIterator[Play]:
        """The plays of a game, without samples."""
        token = ""
        while True:
            request = wire.view(ingest_service_pb2.ListPlaysRequest)(parent=game, page_token=token)
            response = await self.ingest.ListPlays(request, timeout=self._timeout)
            for message in response.plays:
                yield convert.play_from_message(message)
            token = response.next_page_token
            if not token:
                return

    async def quality_report(self, name: str) -> QualityReport:
        """What became of the samples of a game or a play."""
        request = wire.view(ingest_service_pb2.GetQualityReportRequest)(name=name)
        response = await self.ingest.GetQualityReport(request, timeout=self._timeout)
        return QualityReport(response.accepted_count, response.duplicate_count, counts(response.quarantined))

    async def list_quarantined(self, play: str) -> AsyncIterator[tuple[Samples, list[str]]]:
        """The samples of a play that are in quarantine, as sent, with their reasons; some thousands at a time."""
        token = ""
        while True:
            request = wire.view(ingest_service_pb2.ListQuarantinedSamplesRequest)(
                parent=play, page_size=10_000, page_token=token
            )
            response = await self.ingest.ListQuarantinedSamples(request, timeout=self._timeout)
            if response.reasons:
                yield (
                    convert.samples_from_message(response.samples),
                    list(map(reason_name, response.reasons)),
                )
            token = response.next_page_token
            if not token:
                return

    async def predict_ghosts(
        self, play: str | Play, target_ids: Sequence[str] = (), defender_ids: Sequence[str] = (), model: str = ""
    ) -> Prediction:
        """Ghosts of a play, given by name or whole, for some targets; by default for the actual one."""
        request = wire.view(predict_service_pb2.PredictGhostsRequest)(
            source=_source(play), target_ids=target_ids, defender_ids=defender_ids, model=model
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
            source=_source(play),
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
            source=_source(play),
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

    async def score_actual(self, play: str | Play, score_profile: str = "") -> score_service_pb2.ScorePlayResponse:
        """Scores of the actual trajectories of a play."""
        request = wire.view(score_service_pb2.ScorePlayRequest)(actual=_source(play), score_profile=score_profile)
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

    async def rate_decision(
        self, play: str | Play, frames: Sequence[int] = ()
    ) -> statistics_service_pb2.RateDecisionResponse:
        """What a pass to each receiver was worth at the release, or at some frames before it."""
        request = wire.view(statistics_service_pb2.RateDecisionRequest)(source=_source(play), frames=frames)
        response: statistics_service_pb2.RateDecisionResponse = await self.statistics.RateDecision(
            request, timeout=self._timeout
        )
        return response

    async def compute_statistics(self, play: str | Play) -> list[statistics_service_pb2.Statistic]:
        """The statistics of a play; nothing is kept."""
        request = wire.view(statistics_service_pb2.ComputeStatisticsRequest)(source=_source(play))
        return list((await self.statistics.ComputeStatistics(request, timeout=self._timeout)).statistics)

    def watch_statistics(
        self, game: str = "", resume_token: str = ""
    ) -> AsyncIterator[statistics_service_pb2.WatchStatisticsResponse]:
        """Statistics as soon as each can be known, from now on; never ends.

        Of a live play it tells before the throw, at the throw and at arrival; the throw is told twice, first how
        likely the catch is and then what each option is worth too. It goes on by itself after a broken connection:
        of plays that are over none is left out then, and what is live is told from then on.

        Args:
            game: `games/{game}`; all games when empty.
            resume_token: the last one seen, to go on after it.
        """
        return streams.watch_statistics(self.statistics.WatchStatistics, game, resume_token, self._patience)

    async def list_statistics(
        self, parent: str, superseded: bool = False
    ) -> AsyncIterator[statistics_service_pb2.Statistic]:
        """The statistics that are kept of a game or a play, in the order in which they were computed.

        Args:
            parent: `games/{game}` or `games/{game}/plays/{play}`.
            superseded: whether to list also those that others are in the place of.
        """
        request = wire.view(statistics_service_pb2.ListStatisticsRequest)(
            parent=parent, superseded=superseded, page_size=1_000
        )
        while True:
            response = await self.statistics.ListStatistics(request, timeout=self._timeout)
            for statistic in response.statistics:
                yield statistic
            request.page_token = response.next_page_token
            if not request.page_token:
                return

    async def list_leaders(
        self,
        kind: str,
        group: str = "player",
        *,
        season: int = 0,
        weeks: tuple[int, int] = (0, 0),
        team_ids: Sequence[str] = (),
        positions: Sequence[str] = (),
        min_attempts: int = 1,
        order_by: str = "",
        page_size: int = 1_000,
    ) -> AsyncIterator[statistics_service_pb2.ListLeadersResponse]:
        """Players, teams or positions ranked by a statistic, page by page; all pages are of the state at the first.

        `ghostback.leaders` makes tables of them.

        Args:
            kind: what to rank by: `completion`, `catch`, `yards-after-catch`, `decision`, `separation`, `coverage`.
            group: what to rank: `player`, `team` or `position`.
            season: only this one; 0 means all.
            weeks: the first and the last that count; 0 means that there is no such limit.
            team_ids: teams whose players count; all when empty.
            positions: positions that count; all when empty.
            min_attempts: the fewest to be listed.
            order_by: `shrunk_mean` (the default), `mean`, `total` or `attempts`, with ` asc` for the least first.
            page_size: leaders on a page.

        Raises:
            ValueError: there is no such kind or group.
        """
        first_week, last_week = weeks
        request = wire.view(statistics_service_pb2.ListLeadersRequest)(
            kind=statistics_service_pb2.StatisticKind.Value(f"STATISTIC_KIND_{kind.upper().replace('-', '_')}"),
            group=statistics_service_pb2.LeaderGroup.Value(f"LEADER_GROUP_{group.upper()}"),
            season=season,
            first_week=first_week,
            last_week=last_week,
            team_ids=team_ids,
            positions=positions,
            min_attempts=min_attempts,
            order_by=order_by,
            page_size=page_size,
        )
        while True:
            response = await self.statistics.ListLeaders(request, timeout=self._timeout)
            yield response
            request.page_token = response.next_page_token
            if not request.page_token:
                return

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

    def _stub(self, address: str, module: object, service: str) -> SimpleNamespace:
        if not address:
            return SimpleNamespace()
        if address not in self._channels:
            self._channels[address] = channels.aio_channel(address, self._security)
        descriptor = module.DESCRIPTOR.services_by_name[service]  # type: ignore[attr-defined]
        return wire.stub(descriptor, self._channels[address])


def _source(play: str | Play) -> source_pb2.PlaySource:
    if isinstance(play, str):
        return wire.view(source_pb2.PlaySource)(name=play)
    return wire.view(source_pb2.PlaySource)(play=convert.play_to_message(play))


def _yards(message: predict_service_pb2.YardsDistribution) -> Yards:
    return Yards(message.first_yards, wire.read_column(message, "probabilities").astype(np.float64))
