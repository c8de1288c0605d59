"""`ghostback.features.v1.FeaturesService`."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from google.protobuf.message import Message
from prometheus_client import Counter

from ghostback import convert, wire
from ghostback.features.v1 import features_service_pb2 as pb
from ghostback.tracking.v1 import source_pb2
from services.common import names, paging, plays, requests
from services.common.errors import DomainError, InvalidInput, Violation
from services.common.operations import Operations, Report
from services.common.upstream import Upstream
from services.features import draws, feature_sets, tensors
from services.features.library import Library
from services.features.lookups import MARK_KEY, LookUps
from services.features.measurements import Ghosts
from services.features.screening import catalogue, screened, table
from services.features.screening.boosting import Workers
from services.features.screening.screen import Judged, Screening, Stage, Verdict, screen
from services.features.screening.screened import ScreenedSet
from services.features.screening.table import Table
from services.features.targets import Target

FEATURES_SERVICE = pb.DESCRIPTOR.services_by_name["FeaturesService"]

_ROWS = Counter("ghostback_feature_rows_total", "Pairs of target and defender computed.", ["feature_set"])
_TENSOR_ROWS = {
    "defender": pb.TENSOR_ROW_DEFENDER,
    "target": pb.TENSOR_ROW_TARGET,
    "pass": pb.TENSOR_ROW_PASS,
}
_SETTINGS: dict[int, str] = {
    source_pb2.SETTING_UNSPECIFIED: "retrospective",
    source_pb2.SETTING_RETROSPECTIVE: "retrospective",
    source_pb2.SETTING_LIVE: "live",
}
_MOST_DRAWS, _MOST_ALONE = 64, 32
_STAGES = {stage: pb.ScreeningStage.Value(f"SCREENING_STAGE_{stage.name}") for stage in Stage}
_VERDICTS = {verdict: pb.Verdict.Value(f"VERDICT_{verdict.name}") for verdict in Verdict}


class FeaturesServicer:
    """Computes features of plays given in the call or looked up in `ingest`, and selects features."""

    def __init__(self, ingest: Upstream, library: Library, operations: Operations, screening_threads: int) -> None:
        self._ingest = ingest
        self._look_ups = LookUps(ingest)
        self._library = library
        self._operations = operations
        self._threads = screening_threads
        self._screening = asyncio.Lock()

    async def ListFeatureSets(self, request: pb.ListFeatureSetsRequest, context: Any) -> Message:
        """List the feature sets."""
        known, _ = await asyncio.to_thread(self._library.read)
        page, token = paging.page_of(known, request, "ListFeatureSets")
        return wire.view(pb.ListFeatureSetsResponse)(feature_sets=map(_feature_set, page), next_page_token=token)

    async def GetFeatureSet(self, request: pb.GetFeatureSetRequest, context: Any) -> Message:
        """Give one feature set."""
        name = requests.resource_id(request.name, "featureSets", "name")
        found = await asyncio.to_thread(self._library.get, name)
        return wire.view(pb.GetFeatureSetResponse)(feature_set=_feature_set(found))

    async def ComputeFeatures(self, request: pb.ComputeFeaturesRequest, context: Any) -> Message:
        """Compute the tensors of one play."""
        name = requests.resource_id(request.feature_set, "featureSets", "feature_set")
        feature_set = await asyncio.to_thread(self._library.get, name)
        requests.at_most(request, target_ids=16, defender_ids=32, ghosts=512)
        ghosts = _ghosts(request, feature_set)
        mark = dict(context.invocation_metadata() or ()).get(MARK_KEY, "")
        play = await self._look_ups.resolve(request.source, mark)
        asked = list(request.target_ids), list(request.defender_ids)
        if isinstance(feature_set, ScreenedSet):
            return _response(await asyncio.to_thread(screened.compute, play, feature_set, *asked))
        computed = asyncio.to_thread(tensors.compute, play, feature_set, *asked, ghosts, request.before_flight)
        return _response(await computed)

    async def SelectFeatures(self, request: pb.SelectFeaturesRequest, context: Any) -> Message:
        """Start screening the candidates on the passes of some games."""
        requests.at_most(request, games=1000)
        for i, game in enumerate(request.games):
            requests.game_id(game, f"games[{i}]")
        games = sorted(set(request.games))
        if len(games) < 2:
            raise InvalidInput("FIELD_INVALID", [Violation("games", f"names {len(games)} games, must name 2 or more")])
        if request.setting not in _SETTINGS:
            raise InvalidInput("FIELD_INVALID", [Violation("setting", f"{request.setting} is no known setting")])
        name, setting, seed = request.feature_set or "ghosting-screened", _SETTINGS[request.setting], request.seed
        self._library.check_name(name, "feature_set")
        known = [play for game in games for play in await plays.of_game(game, self._ingest)]
        passes = [play.name for play in known if play.forward_pass and play.forward_pass.arrived_frame]

        async def work(report: Report) -> Message:
            async with self._screening:
                rows = await self._rows(sorted(passes), setting, report)
                screening = await self._screen(rows, setting, seed, report)
            command = f"SelectFeatures of {len(games)} games, {setting}, seed {seed}"
            kept = self._library.add(
                name, lambda version: screened.of_screening(screening, name, version, setting, seed, command)
            )
            return _result(kept, screening)

        return wire.view(pb.SelectFeaturesResponse)(operation=self._operations.start(work))

    async def _rows(self, passes: Sequence[str], setting: str, report: Report) -> Table:
        """The rows of passes; one without samples has none."""
        candidates, parts = catalogue.of_setting(setting), []
        for i, name in enumerate(passes):
            report(_metadata(Stage.ROWS, i, len(passes)))
            try:
                play = await plays.look_up(name, self._ingest)
            except DomainError as error:
                if error.reason != "TRACKS_INCOMPLETE":
                    raise
            else:
                probed = i % table.PROBED == 0
                parts.append(await asyncio.to_thread(table.of_play, play, setting, candidates, probed))
        return Table.concatenate(parts, len(candidates))

    async def _screen(self, rows: Table, setting: str, seed: int, report: Report) -> Screening:
        """Screen in a thread; when this is cancelled, only once the thread has ended."""
        workers, loop = Workers(seed, self._threads), asyncio.get_running_loop()

        def progress(stage: Stage, done: int, total: int) -> None:
            loop.call_soon_threadsafe(report, _metadata(stage, done, total))

        job = asyncio.ensure_future(asyncio.to_thread(screen, rows, catalogue.of_setting(setting), workers, progress))
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            workers.stop.set()
            await asyncio.gather(job, return_exceptions=True)
            raise


def _ghosts(request: pb.ComputeFeaturesRequest, feature_set: feature_sets.FeatureSet) -> list[Ghosts]:
    """The ghosts of a request, and as they are drawn anew or put into their place alone, where that is asked for.

    Raises:
        InvalidInput: the feature set has no use for them, or for flights that are left out; a path is too short, or
            its covariance is of another length; they cannot be drawn, or put into their place alone.
    """
    wrong = []
    if request.ghosts and feature_set.row != "pass":
        wrong.append(Violation("ghosts", f"are not for {feature_set.id}, whose rows stand for a {feature_set.row}"))
    if request.before_flight and isinstance(feature_set, ScreenedSet):
        wrong.append(Violation("before_flight", f"is not for {feature_set.id}, a screened feature set"))
    if request.ghost_draws > _MOST_DRAWS:
        wrong.append(Violation("ghost_draws", f"is {request.ghost_draws}, must be at most {_MOST_DRAWS}"))
    if request.ghost_draws and not request.ghosts:
        wrong.append(Violation("ghost_draws", f"is {request.ghost_draws}, and there are no ghosts"))
    if request.ghosts_one_by_one:
        wrong += _not_alone(request)
    found, covariances = {}, {}
    for i, ghost in enumerate(request.ghosts):
        path = convert.path_from_message(ghost.path, f"ghosts[{i}].path")
        if len(path) < 2:
            wrong.append(Violation(f"ghosts[{i}].path", f"has {len(path)} points, must have 2 or more"))
        key = ghost.target_id, ghost.defender_id
        found[key] = path
        if request.ghost_draws and ghost.HasField("covariance"):
            covariances[key] = convert.covariance_from_message(ghost.covariance, f"ghosts[{i}].covariance")
            if len(covariances[key]) != len(path):
                told = f"has {len(covariances[key])} points, the path has {len(path)}"
                wrong.append(Violation(f"ghosts[{i}].covariance", told))
    if wrong:
        raise InvalidInput("FIELD_INVALID", wrong)
    if request.ghosts_one_by_one:
        return draws.one_by_one(found)
    return [found, *draws.drawn(found, covariances, request.ghost_draws)]


def _not_alone(request: pb.ComputeFeaturesRequest) -> Iterator[Violation]:
    """Why ghosts cannot be put into their place alone."""
    if not 0 < len(request.ghosts) <= _MOST_ALONE:
        yield Violation("ghosts", f"has {len(request.ghosts)} entries, must have 1 to {_MOST_ALONE} one by one")
    targets = {ghost.target_id for ghost in request.ghosts} | set(request.target_ids)
    if len(targets) > 1:
        yield Violation("ghosts_one_by_one", f"is for one target, there are {', '.join(sorted(targets))}")
    if request.ghost_draws:
        yield Violation("ghost_draws", f"is {request.ghost_draws}, must be 0 one by one")


def _response(batch: tensors.FeatureBatch) -> Message:
    response = wire.view(pb.ComputeFeaturesResponse)(
        feature_set=names.feature_set(batch.feature_set),
        setting=names.setting(batch.setting),
        direction=batch.direction,
        targets=[_target(target, batch.observed - 1) for target in batch.targets],
    )
    pairs = zip(batch.defender_ids, batch.target_ids, batch.anchor, batch.tensor_row, batch.slot, strict=True)
    for defender, target, (x, y), tensor_row, slot in pairs:
        response.rows.add(
            defender_id=defender, target_id=target, anchor_x=x, anchor_y=y, tensor_row=tensor_row, slot=slot
        )
    _ROWS.labels(batch.feature_set).inc(len(response.rows))
    response.tensors.extend(convert.tensors_to_messages(batch.tensors))
    for name, description in batch.skipped.items():
        response.skipped.add(participant_id=name, description=description)
    return response


def _target(target: Target, release: int) -> source_pb2.Target:
    in_air = np.s_[release : release + target.air_steps + 1]
    return wire.view(source_pb2.Target)(
        participant_id=target.participant_id,
        actual=target.actual,
        air_steps=target.air_steps,
        receiver=convert.path_to_message(target.receiver[in_air]),
        ball=convert.path_to_message(target.ball[in_air]),
    )


def _feature_set(feature_set: feature_sets.FeatureSet) -> pb.FeatureSet:
    message = wire.view(pb.FeatureSet)(
        name=names.feature_set(feature_set.id),
        description=feature_set.description,
        setting=names.setting(feature_set.setting),
        step_rate_hz=feature_set.rate,
        observed_steps=feature_set.observed,
        horizon_steps=feature_set.horizon,
        tensors=[
            wire.view(pb.TensorSpec)(name=tensor.name, shape=tensor.shape, entries=tensor.entries)
            for tensor in feature_set.tensors
        ],
        digest=feature_set.digest,
        tensor_row=_TENSOR_ROWS[feature_set.row],
    )
    if isinstance(feature_set, ScreenedSet):
        made = feature_set.provenance
        wire.write_column(message.tensors[0], "mean", np.array(feature_set.mean))
        wire.write_column(message.tensors[0], "scale", np.array(feature_set.scale))
        message.provenance.MergeFrom(
            wire.view(pb.Provenance)(
                games=made.games,
                row_count=made.n_rows,
                seed=made.seed,
                command=made.command,
                candidate_count=made.n_candidates,
                full_rmse=made.full_rmse,
                kept_rmse=made.kept_rmse,
            )
        )
    return message


def _metadata(stage: Stage, done: int, total: int) -> Message:
    return wire.view(pb.SelectFeaturesMetadata)(stage=_STAGES[stage], done_count=done, total_count=total)


def _result(kept: ScreenedSet, screening: Screening) -> Message:
    return wire.view(pb.SelectFeaturesResult)(
        feature_set=_feature_set(kept),
        candidates=map(_candidate, screening.judged),
        tried=[wire.view(pb.TriedSet)(candidate_count=n, rmse=rmse) for n, rmse in screening.tried],
    )


def _candidate(judged: Judged) -> pb.ScreenedCandidate:
    message = wire.view(pb.ScreenedCandidate)(
        entry=judged.candidate.entry,
        description=judged.candidate.description,
        group=judged.candidate.group,
        verdict=_VERDICTS[judged.verdict],
        reason=judged.reason,
    )
    if not math.isnan(judged.rank):
        message.rank, message.gain = judged.rank, judged.gain
        message.permutation, message.shap = judged.permutation, judged.shap
    return message
