"""The features service: what it tells of its feature sets, and what it computes from."""

from dataclasses import replace

import grpc.aio
import numpy as np
import pytest
from google.protobuf.message import Message

from ghostback import convert, wire
from ghostback.features.v1 import features_service_pb2 as pb
from ghostback.play import Play, Samples
from ghostback.tracking.v1 import source_pb2
from services.features import feature_sets, tensors
from tests.failures import Failure, failure
from tests.integration.conftest import Chain

FEATURE_SET = feature_sets.get("ghosting-kinematics@2")
NAME = "featureSets/ghosting-kinematics@2"


def request(play: Play | str, **fields: object) -> pb.ComputeFeaturesRequest:
    made = wire.view(pb.ComputeFeaturesRequest)(**{"feature_set": NAME} | fields)
    if isinstance(play, str):
        made.source.name = play
    else:
        made.source.play.CopyFrom(convert.play_to_message(play))
    return made


async def refused(chain: Chain, made: pb.ComputeFeaturesRequest) -> Failure:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await chain.client.features.ComputeFeatures(made)
    return failure(error.value)


def arrays(response: pb.ComputeFeaturesResponse) -> dict[str, np.ndarray]:
    return {t.name: wire.read_column(t, "values").reshape(tuple(t.shape)) for t in response.tensors}


async def test_a_feature_set_is_told_in_full_with_the_digest_a_model_must_name(chain: Chain) -> None:
    listed = await chain.client.features.ListFeatureSets(wire.view(pb.ListFeatureSetsRequest)())
    one = await chain.client.features.GetFeatureSet(wire.view(pb.GetFeatureSetRequest)(name=NAME))
    assert {each.name for each in listed.feature_sets} >= {f"featureSets/{name}" for name in feature_sets.FEATURE_SETS}
    assert one.feature_set in listed.feature_sets
    told = one.feature_set
    assert (told.name, told.digest, told.setting) == (NAME, FEATURE_SET.digest, source_pb2.SETTING_RETROSPECTIVE)
    assert (told.step_rate_hz, told.observed_steps, told.horizon_steps) == (10.0, 5, 40)
    assert [(t.name, tuple(t.shape)) for t in told.tensors] == [(t.name, t.shape) for t in FEATURE_SET.tensors]
    for tensor in told.tensors:
        assert len(tensor.entries) == tensor.shape[-1]


async def test_a_play_by_name_and_the_same_play_in_the_call_give_the_same_answer(chain: Chain) -> None:
    for sent in chain.passes:
        targets = [receiver.participant_id for receiver in sent.eligible_receivers()]
        by_name = await chain.client.features.ComputeFeatures(request(sent.name, target_ids=targets))
        stored = await chain.client.get_play(sent.name)
        assert await chain.client.features.ComputeFeatures(request(stored, target_ids=targets)) == by_name


async def test_every_target_meets_every_defender_in_one_row_each(chain: Chain) -> None:
    sent = chain.passes[0]
    play = await chain.client.get_play(sent.name)
    targets = [receiver.participant_id for receiver in play.eligible_receivers()][:3]
    defenders = [p.participant_id for p in play.participants if p.team_id and p.team_id != play.offense_team][:4]
    response = await chain.client.features.ComputeFeatures(request(play, target_ids=targets, defender_ids=defenders))
    expected = tensors.compute(play, FEATURE_SET, targets, defenders)
    rows = [(row.target_id, row.defender_id) for row in response.rows]
    skipped = {each.participant_id for each in response.skipped}
    assert rows == [(t, d) for t in targets for d in defenders if d not in skipped]
    assert response.direction == play.offense_direction
    np.testing.assert_allclose([(row.anchor_x, row.anchor_y) for row in response.rows], expected.anchor, rtol=1e-6)
    assert {name: array.shape[0] for name, array in arrays(response).items()} == dict.fromkeys(
        ("defender", "receiver", "ball"), len(rows)
    )
    for told, target in zip(response.targets, expected.targets, strict=True):
        receiver = convert.path_from_message(told.receiver, "receiver")
        ball = convert.path_from_message(told.ball, "ball")
        assert (told.participant_id, told.air_steps) == (target.participant_id, target.air_steps)
        assert len(receiver) == len(ball) == told.air_steps + 1
        np.testing.assert_allclose(receiver[0], target.receiver[expected.observed - 1], rtol=1e-6)
        np.testing.assert_allclose(ball[-1], target.ball[expected.observed - 1 + told.air_steps], rtol=1e-6)


async def test_a_defender_without_samples_is_left_out_with_the_reason(chain: Chain) -> None:
    play = chain.simulated.plays[chain.sent.index(chain.passes[0])]
    lost, *others = play.defensive_backs()
    seen = replace(play, samples=play.samples.take(~np.isin(play.samples.tag_id, lost.tag_ids)))
    response = await chain.client.features.ComputeFeatures(request(seen))
    assert {each.participant_id: each.description for each in response.skipped} == {
        lost.participant_id: "no samples for 0.5 of the 0.5 s before the pass"
    }
    assert [row.defender_id for row in response.rows] == [each.participant_id for each in others]


@pytest.mark.parametrize("name", ["", "ghosting-kinematics@2", "models/ghosting-kinematics@2", "featureSets/a/b"])
async def test_a_name_out_of_form_is_refused_with_its_field(chain: Chain, name: str) -> None:
    told = await refused(chain, request(chain.passes[0].name, feature_set=name))
    assert (told.code, told.reason, list(told.fields)) == ("INVALID_ARGUMENT", "NAME_INVALID", ["feature_set"])


async def test_a_source_is_required(chain: Chain) -> None:
    told = await refused(chain, wire.view(pb.ComputeFeaturesRequest)(feature_set=NAME))
    assert (told.code, told.fields) == ("INVALID_ARGUMENT", {"source": "needs a name or a play"})


async def test_a_play_without_samples_cannot_be_computed_on(chain: Chain) -> None:
    made = request(replace(chain.passes[0], samples=Samples.empty()))
    told = await refused(chain, made)
    assert (told.code, told.fields) == ("INVALID_ARGUMENT", {"source.play.samples": "is missing"})


async def test_limits_on_targets_and_defenders_are_told_together(chain: Chain) -> None:
    told = await refused(chain, request(chain.passes[0].name, target_ids=["a"] * 17, defender_ids=["b"] * 33))
    assert told.fields == {
        "target_ids": "has 17 entries, the limit is 16",
        "defender_ids": "has 33 entries, the limit is 32",
    }


async def test_columns_that_differ_in_length_are_named(chain: Chain) -> None:
    play = chain.simulated.plays[chain.sent.index(chain.passes[0])]
    made = request(play)
    samples: Message = made.source.play.samples
    wire.write_column(samples, "speed", play.samples.speed[1:])
    n = len(play.samples)
    told = await refused(chain, made)
    assert (told.code, told.reason) == ("INVALID_ARGUMENT", "COLUMNS_UNEQUAL")
    assert told.fields == {"source.play.samples.speed": f"has {n - 1} values, sample_count is {n}"}


async def test_a_flight_longer_than_the_feature_set_covers_is_told(chain: Chain) -> None:
    play = chain.simulated.plays[chain.sent.index(chain.passes[0])]
    assert play.forward_pass
    long = replace(play.forward_pass, arrived_frame=play.forward_pass.forward_frame + 41)
    told = await refused(chain, request(replace(play, forward_pass=long)))
    assert (told.code, told.reason) == ("FAILED_PRECONDITION", "PASS_TOO_LONG")
