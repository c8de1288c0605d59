"""A pass goes in, ghosts and a score come out: all four services and a real Triton."""

from dataclasses import replace

import grpc.aio
import numpy as np
import pytest

from ghostback import convert, wire
from ghostback.features.v1 import features_service_pb2
from ghostback.ingest.v1 import ingest_service_pb2 as ingest_pb
from ghostback.play import Play
from ghostback.predict.v1 import predict_service_pb2 as predict_pb
from ghostback.score.v1 import score_service_pb2 as score_pb
from services.features import feature_sets, tensors
from services.score import metrics, profiles, trajectories
from tests.failures import Failure, failure
from tests.integration.conftest import Chain


async def refused(call: object) -> Failure:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call  # type: ignore[misc]
    return failure(error.value)


def changed(play: Play, column: str, value: float) -> Play:
    values = getattr(play.samples, column).copy()
    values[17] = value
    return replace(play, samples=replace(play.samples, **{column: values}))


async def test_every_sample_is_accepted_or_quarantined_and_counted(chain: Chain) -> None:
    quality = await chain.client.quality_report(chain.simulated.game.name)
    counted = quality.accepted + quality.duplicates + sum(quality.quarantined.values())
    assert counted == sum(len(play.samples) for play in chain.sent)
    assert quality.quarantined


async def test_ghosts_start_where_the_defenders_are_and_last_until_arrival(chain: Chain) -> None:
    for play in chain.passes:
        targets = [receiver.participant_id for receiver in play.eligible_receivers()]
        prediction = await chain.client.predict_ghosts(play.name, targets)
        assert prediction.model_version == "models/ghosting/versions/2.0.0"
        assert [target.participant_id for target in prediction.targets] == targets
        steps = {target.participant_id: len(target.receiver) for target in prediction.targets}
        defenders = {p.participant_id for p in play.defensive_backs()} - prediction.skipped.keys()
        assert {(g.defender_id, g.target_id) for g in prediction.ghosts} == {(d, t) for d in defenders for t in targets}
        stored = await chain.client.get_play(play.name)
        batch = tensors.compute(stored, feature_sets.get("ghosting-kinematics@2"))
        starts = dict(zip(batch.defender_ids, batch.anchor, strict=True))
        for ghost in prediction.ghosts:
            assert len(ghost.path) == steps[ghost.target_id]
            np.testing.assert_allclose(ghost.path[0], starts[ghost.defender_id], atol=1e-3)
            assert np.linalg.norm(np.diff(ghost.path, axis=0), axis=1).max() < 1.3


async def test_the_features_served_are_those_that_training_uses(chain: Chain) -> None:
    play = await chain.client.get_play(chain.passes[0].name)
    request = wire.view(features_service_pb2.ComputeFeaturesRequest)(feature_set="featureSets/ghosting-kinematics@2")
    request.source.play.CopyFrom(convert.play_to_message(play))
    response = await chain.client.features.ComputeFeatures(request)
    expected = tensors.compute(play, feature_sets.get("ghosting-kinematics@2"))
    for tensor in response.tensors:
        served = wire.read_column(tensor, "values").reshape(tuple(tensor.shape))
        np.testing.assert_array_equal(served, expected.tensors[tensor.name])


async def test_scores_are_those_of_the_formulas(chain: Chain) -> None:
    play = await chain.client.get_play(chain.passes[0].name)
    actual = trajectories.actual(play)
    for profile in profiles.PROFILES.values():
        response = await chain.client.score_actual(play.name, f"scoreProfiles/{profile.id}")
        expected = metrics.score_trajectories(np.stack(list(actual.paths.values())), actual.receiver, profile)
        np.testing.assert_allclose([t.score for t in response.trajectories], expected.score, rtol=1e-5)
        assert response.plays[0].score == pytest.approx(metrics.play_score(expected, profile), rel=1e-5)


async def test_ghosts_can_be_passed_on_to_score(chain: Chain) -> None:
    play = chain.passes[0]
    prediction = await chain.client.predict_ghosts(play.name, [p.participant_id for p in play.eligible_receivers()])
    response = await chain.client.score_ghosts(prediction)
    assert len(response.trajectories) == len(prediction.ghosts)
    assert len(response.plays) == len(prediction.targets)


async def test_a_model_is_evaluated_on_the_same_trajectories_as_the_players(chain: Chain) -> None:
    names = [f"scoreProfiles/{name}" for name in profiles.PROFILES]
    updates = [
        update
        async for update in chain.client.evaluate_model(
            chain.simulated.game.name, score_profiles=names, spoiled_fraction=0.25, seed=3
        )
    ]
    result = updates[-1]
    assert isinstance(result, score_pb.EvaluateModelResult)
    assert {(s.subject, s.score_profile) for s in result.scores} == {(s, n) for s in (1, 2, 3) for n in names}
    assert len({s.trajectory_count for s in result.scores}) == 1
    assert {s.play_count for s in result.scores} == {len(chain.passes) - len(result.skipped)}


async def test_a_spoiled_run_is_the_same_for_the_same_seed_and_another_for_another(chain: Chain) -> None:
    async def spoiled(seed: int) -> float:
        async for update in chain.client.evaluate_model(chain.simulated.game.name, spoiled_fraction=0.5, seed=seed):
            if isinstance(update, score_pb.EvaluateModelResult):
                return next(s.mean_trajectory_score for s in update.scores if s.subject == 3)
        raise AssertionError

    assert await spoiled(1) == await spoiled(1) != await spoiled(2)


async def test_a_malformed_batch_names_the_column_and_nothing_of_it_is_stored(chain: Chain) -> None:
    play = chain.runs[0]
    message = convert.samples_to_message(play.samples)
    wire.write_column(message, "y", play.samples.y[:-1])
    n = len(play.samples)

    async def stream(message: object) -> Failure:
        async def requests():  # type: ignore[no-untyped-def]
            yield wire.view(ingest_pb.StreamTagsRequest)(play=play.name, samples=message)

        call = chain.client.ingest.StreamTags(requests())
        with pytest.raises(grpc.aio.AioRpcError) as error:
            async for _ in call:
                pass
        return failure(error.value)

    before = await chain.client.quality_report(play.name)
    told = await stream(message)
    assert (told.code, told.reason) == ("INVALID_ARGUMENT", "COLUMNS_UNEQUAL")
    assert told.fields == {"samples.y": f"has {n - 1} values, sample_count is {n}"}
    empty = wire.view(type(message))()
    assert (await stream(empty)).reason == "BATCH_EMPTY"
    large = wire.view(type(message))(sample_count=20_000)
    wire.write_column(large, "tag_id", np.zeros(20_000))
    assert (await stream(large)).fields == {"samples.sample_count": "is 20000, the limit is 16384"}
    assert await chain.client.quality_report(play.name) == before


async def test_a_nan_in_a_play_given_in_the_call_names_the_row(chain: Chain) -> None:
    play = changed(chain.simulated.plays[1], "x", np.nan)
    told = await refused(chain.client.predict_ghosts(play))
    assert (told.code, told.reason) == ("INVALID_ARGUMENT", "NOT_FINITE")
    assert list(told.fields) == ["source.play.samples.x[17]"]


async def test_what_does_not_exist_is_not_found(chain: Chain) -> None:
    client, play = chain.client, chain.passes[0]
    unknown = await refused(client.predict_ghosts("games/1/plays/none"))
    assert (unknown.code, unknown.reason) == ("NOT_FOUND", "PLAY_UNKNOWN")
    version = await refused(client.predict_ghosts(play.name, model="models/ghosting/versions/9.9.9"))
    assert (version.code, version.reason) == ("NOT_FOUND", "MODEL_VERSION_UNKNOWN")
    model = await refused(client.predict_ghosts(play.name, model="models/none"))
    assert (model.code, model.reason) == ("NOT_FOUND", "MODEL_VERSION_UNKNOWN")
    profile = await refused(client.score_actual(play.name, "scoreProfiles/none@1"))
    assert (profile.code, profile.reason) == ("NOT_FOUND", "SCORE_PROFILE_UNKNOWN")
    request = wire.view(features_service_pb2.ComputeFeaturesRequest)(feature_set="featureSets/none@1")
    feature_set = await refused(client.features.ComputeFeatures(request))
    assert (feature_set.code, feature_set.reason) == ("NOT_FOUND", "FEATURE_SET_UNKNOWN")


async def test_a_play_without_a_pass_cannot_have_ghosts_or_scores(chain: Chain) -> None:
    for call in (chain.client.predict_ghosts(chain.runs[0].name), chain.client.score_actual(chain.runs[0].name)):
        told = await refused(call)
        assert (told.code, told.reason) == ("FAILED_PRECONDITION", "PLAY_WITHOUT_PASS")


async def test_a_target_who_is_not_eligible_is_named(chain: Chain) -> None:
    play = chain.passes[0]
    lineman = next(p.participant_id for p in play.participants if p.position in {"T", "G", "C"})
    told = await refused(chain.client.predict_ghosts(play.name, [lineman]))
    assert (told.code, told.reason) == ("INVALID_ARGUMENT", "TARGET_NOT_ELIGIBLE")
    assert list(told.fields) == ["target_ids[0]"]
    told = await refused(chain.client.predict_ghosts(play.name, defender_ids=[lineman]))
    assert (told.reason, list(told.fields)) == ("DEFENDER_UNKNOWN", ["defender_ids[0]"])


async def test_too_many_targets_are_refused(chain: Chain) -> None:
    told = await refused(chain.client.predict_ghosts(chain.passes[0].name, ["x"] * 17))
    assert told.fields == {"target_ids": "has 17 entries, the limit is 16"}


async def test_a_ghost_that_does_not_fit_its_target_is_named(chain: Chain) -> None:
    prediction = await chain.client.predict_ghosts(chain.passes[0].name)
    request = wire.view(score_pb.ScorePlayRequest)()
    request.ghosts.targets.MergeFrom(prediction.message.targets)
    request.ghosts.ghosts.MergeFrom(prediction.message.ghosts)
    request.ghosts.ghosts[1].path.CopyFrom(convert.path_to_message(np.zeros((2, 2))))
    told = await refused(chain.client.score.ScorePlay(request))
    assert (told.code, list(told.fields)) == ("INVALID_ARGUMENT", ["ghosts.ghosts[1].path"])
    told = await refused(chain.client.score.ScorePlay(wire.view(score_pb.ScorePlayRequest)()))
    assert (told.reason, list(told.fields)) == ("FIELD_REQUIRED", ["subject"])


async def test_lists_page(chain: Chain) -> None:
    client, game = chain.client, chain.simulated.game.name
    names, token = [], ""
    while True:
        request = wire.view(ingest_pb.ListPlaysRequest)(parent=game, page_size=5, page_token=token)
        page = await client.ingest.ListPlays(request)
        names += [play.name for play in page.plays]
        token = page.next_page_token
        if not token:
            break
    assert names == [play.name for play in chain.sent]
    forged = wire.view(ingest_pb.ListPlaysRequest)(parent=game, page_token="forged")
    assert (await refused(client.ingest.ListPlays(forged))).reason == "PAGE_TOKEN_INVALID"


async def test_a_watcher_is_told_of_every_play_and_can_resume(chain: Chain) -> None:
    def watch(token: str = ""):  # type: ignore[no-untyped-def]
        request = wire.view(ingest_pb.WatchPlaysRequest)(parent=chain.simulated.game.name, resume_token=token)
        return chain.client.ingest.WatchPlays(request)

    call, seen = watch(), []
    async for response in call:
        seen.append(response)
        if len(seen) == len(chain.sent):
            break
    call.cancel()
    assert [response.play.name for response in seen] == [play.name for play in chain.sent]
    resumed = watch(seen[3].resume_token)
    assert (await resumed.read()).play.name == chain.sent[4].name
    resumed.cancel()


async def test_a_mask_changes_and_gives_only_what_it_names(chain: Chain) -> None:
    client, play = chain.client, chain.runs[-1]
    request = wire.view(ingest_pb.UpdatePlayRequest)()
    request.play.name, request.play.description = play.name, "measured again"
    request.update_mask.paths.append("description")
    updated = (await client.ingest.UpdatePlay(request)).play
    assert (updated.description, updated.offense_team, updated.revision) == ("measured again", play.offense_team, 2)
    masked = wire.view(ingest_pb.GetPlayRequest)(name=play.name)
    masked.read_mask.paths.append("description")
    got = (await client.ingest.GetPlay(masked)).play
    assert [field.name for field, _ in got.ListFields()] == ["description"]
    request.update_mask.paths.append("nonsense")
    assert list((await refused(client.ingest.UpdatePlay(request))).fields) == ["update_mask.paths[1]"]


async def test_quarantined_samples_are_listed_with_their_reason(chain: Chain) -> None:
    for play in chain.sent:
        quality = await chain.client.quality_report(play.name)
        request = wire.view(ingest_pb.ListQuarantinedSamplesRequest)(parent=play.name)
        response = await chain.client.ingest.ListQuarantinedSamples(request)
        reasons = [ingest_pb.QuarantineReason.Name(r).removeprefix("QUARANTINE_REASON_") for r in response.reasons]
        assert {reason: reasons.count(reason) for reason in reasons} == quality.quarantined
        assert response.samples.sample_count == len(reasons)


async def test_model_versions_are_listed(chain: Chain) -> None:
    response = await chain.client.models.ListModelVersions(wire.view(predict_pb.ListModelVersionsRequest)())
    states = {version.name: version.state for version in response.model_versions}
    assert states["models/ghosting/versions/2.0.0"] == predict_pb.MODEL_VERSION_STATE_READY
    assert predict_pb.MODEL_VERSION_STATE_FAILED not in states.values()
    version = response.model_versions[0]
    request = wire.view(predict_pb.GetModelVersionRequest)(name=version.name)
    assert (await chain.client.models.GetModelVersion(request)).model_version == version
