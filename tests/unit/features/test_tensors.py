"""The inputs of models."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghostback.play import FIELD_LENGTH, FIELD_WIDTH, Play, Samples
from services.common.errors import FailedPrecondition, InvalidInput, NotFound
from services.features import feature_sets, tensors
from services.features.feature_sets import FeatureSet
from services.features.tensors import FeatureBatch
from simulator.game import simulate_game

KINEMATICS = feature_sets.get("ghosting-kinematics@2")
SCENE = feature_sets.get("ghosting-scene@2")
every_feature_set = pytest.mark.parametrize("feature_set", feature_sets.FEATURE_SETS.values(), ids=lambda each: each.id)
GAME = simulate_game(31, 12)
PASSES = [play for play in GAME.plays if play.forward_pass]


def compute(
    play: Play, targets: list[str] | None = None, defenders: list[str] | None = None, of: FeatureSet = KINEMATICS
) -> FeatureBatch:
    return tensors.compute(play, of, targets or [], defenders or [])


def eligible(play: Play) -> list[str]:
    return [receiver.participant_id for receiver in play.eligible_receivers()]


def moved(play: Play, **columns: object) -> Play:
    return replace(play, samples=replace(play.samples, **columns))


def turned_around(play: Play) -> Play:
    samples = play.samples
    angles = {name: (getattr(samples, name) + 180) % 360 for name in ("orientation", "direction")}
    turned = moved(play, x=np.float32(FIELD_LENGTH) - samples.x, y=np.float32(FIELD_WIDTH) - samples.y, **angles)
    line = FIELD_LENGTH - play.situation.line_of_scrimmage
    return replace(
        turned,
        offense_direction=-play.offense_direction,
        situation=replace(play.situation, line_of_scrimmage=line),
    )


def assert_alike(first: FeatureBatch, second: FeatureBatch, atol: float) -> None:
    assert first.defender_ids == second.defender_ids
    assert first.air_steps.tolist() == second.air_steps.tolist()
    for name, values in first.tensors.items():
        np.testing.assert_allclose(values, second.tensors[name], rtol=1e-4, atol=atol)


@every_feature_set
def test_every_pair_of_target_and_defender_has_its_place_in_tensors_of_the_declared_shape(
    feature_set: FeatureSet,
) -> None:
    for play in PASSES:
        batch = compute(play, eligible(play), of=feature_set)
        n = len(batch.targets) * (len(play.defensive_backs()) - len(batch.skipped)) * (feature_set.row != "pass")
        assert len(batch.defender_ids) == len(batch.target_ids) == len(batch.anchor) == n
        assert len(set(zip(batch.tensor_row.tolist(), batch.slot.tolist(), strict=True))) == n
        for tensor in feature_set.tensors:
            rows = n if feature_set.row == "defender" else len(batch.targets)
            assert batch.tensors[tensor.name].shape == (rows, *tensor.shape)
            assert np.isfinite(batch.tensors[tensor.name]).all()


def test_the_slots_of_a_scene_hold_the_defenders_where_they_stand() -> None:
    for play in PASSES:
        batch = compute(play, eligible(play), of=SCENE)
        places = batch.tensors["players"][batch.tensor_row, batch.slot, -1, :2]
        there = batch.anchor if batch.direction > 0 else np.array([FIELD_LENGTH, FIELD_WIDTH]) - batch.anchor
        np.testing.assert_allclose(places, there, atol=1e-4)
        assert batch.tensors["roles"][batch.tensor_row, batch.slot][:, [-2, -1]].all(), "defensive backs, present"
        targets = batch.tensors["roles"][:, :, 3]
        assert (targets.sum(axis=1) == 1).all()
        assert not targets[:, :11].any()


def test_who_is_asked_for_has_a_slot_and_who_is_not_tracked_has_none() -> None:
    play = PASSES[0]
    gone, *others = [p for p in play.participants if p.position and p.team_id != play.offense_team]
    twelfth = replace(others[0], participant_id="twelfth", tag_ids=(777,))
    own = play.samples.take(np.isin(play.samples.tag_id, others[0].tag_ids))
    more = replace(own, tag_id=np.full(len(own), 777, np.uint64), y=own.y + 1)
    lost = play.samples.take(~np.isin(play.samples.tag_id, gone.tag_ids))
    crowd = replace(play, participants=(*play.participants, twelfth), samples=Samples.concatenate([play.samples, more]))
    batch = compute(crowd, defenders=["twelfth"], of=SCENE)
    assert (batch.defender_ids, batch.slot.tolist()) == (("twelfth",), [0])
    fewer = compute(replace(play, samples=lost), of=SCENE)
    assert fewer.tensors["roles"][0, :, -1].sum() == 21


@pytest.mark.parametrize("name", ["ghosting-kinematics-live@2", "ghosting-scene-live@2"])
def test_live_knows_of_the_future_only_where_and_when_the_ball_comes_down(name: str) -> None:
    play = PASSES[0]
    assert play.forward_pass
    assert play.ball
    released, arrived = play.forward_pass.forward_frame, play.forward_pass.arrived_frame
    is_ball = np.isin(play.samples.tag_id, play.ball.tag_ids)
    future = (play.samples.frame > released) & ~(is_ball & (play.samples.frame == arrived))
    changed = moved(play, x=np.where(future, play.samples.x + 3, play.samples.x).astype(np.float32))
    live = feature_sets.get(name)
    assert_alike(compute(play, of=live), compute(changed, of=live), atol=0)
    missed = play.defensive_backs()[0]
    lost = np.isin(play.samples.tag_id, missed.tag_ids) & (play.samples.frame == released)
    skipped = [compute(replace(each, samples=each.samples.take(~lost)), of=live).skipped for each in (play, changed)]
    assert skipped[0] == skipped[1] == {missed.participant_id: "no samples for 0.1 of the 0.5 s before the pass"}
    told = feature_sets.get(name.replace("-live", ""))
    assert not np.allclose(
        compute(play, of=told).tensors["receiver"], compute(changed, of=told).tensors["receiver"], atol=0.5
    )


@every_feature_set
def test_while_the_ball_is_in_the_air_its_target_is_a_what_if_and_only_live_sets_tell(feature_set: FeatureSet) -> None:
    play = PASSES[0]
    assert play.forward_pass
    thrown = play.forward_pass
    seen = play.samples.take(play.samples.frame <= (thrown.forward_frame + thrown.arrived_frame) // 2)
    in_air = replace(play, samples=seen, forward_pass=replace(thrown, arrived_frame=0, outcome=None))
    if feature_set.setting == "retrospective":
        with pytest.raises(FailedPrecondition, match="still in the air") as refused:
            compute(in_air, of=feature_set)
        assert refused.value.reason == "PLAY_WITHOUT_PASS"
        return
    batch = compute(in_air, of=feature_set)
    assert [target.actual for target in batch.targets] == [True]
    assert_alike(batch, tensors.compute(play, feature_set, [thrown.target_id], before_flight=True), atol=0)


def test_the_defender_stands_at_the_origin_at_pass_forward() -> None:
    batch = compute(PASSES[0])
    assert not batch.tensors["defender"][:, -1, :2].any()


def test_receiver_and_ball_meet_at_arrival_and_stay_there() -> None:
    for play in PASSES:
        for target in compute(play, eligible(play)).targets:
            arrival = KINEMATICS.observed - 1 + target.air_steps
            assert (target.receiver[arrival:] == target.receiver[arrival]).all()
            assert (target.ball[arrival:] == target.ball[arrival]).all()
            if not target.actual:
                np.testing.assert_allclose(target.ball[arrival], target.receiver[arrival])
            assert not target.receiver_velocity[arrival:].any()


def test_nothing_after_arrival_is_known_to_the_model() -> None:
    play = PASSES[0]
    assert play.forward_pass
    later = play.samples.frame > play.forward_pass.arrived_frame
    changed = moved(play, x=np.where(later, play.samples.x + 3, play.samples.x).astype(np.float32))
    assert_alike(compute(play), compute(changed), atol=0)


def test_a_farther_what_if_is_longer_in_the_air() -> None:
    for play in PASSES:
        what_ifs = [target for target in compute(play, eligible(play)).targets if not target.actual]
        release = KINEMATICS.observed - 1
        far = [float(np.linalg.norm(t.ball[release + t.air_steps] - t.ball[release])) for t in what_ifs]
        order = np.argsort(far)
        assert (np.diff([what_ifs[i].air_steps for i in order]) >= 0).all()


@every_feature_set
def test_a_play_turned_around_gives_the_same_tensors(feature_set: FeatureSet) -> None:
    for play in PASSES[:4]:
        first = compute(play, eligible(play), of=feature_set)
        assert_alike(first, compute(turned_around(play), eligible(play), of=feature_set), atol=2e-3)


@settings(max_examples=10, deadline=None)
@given(st.floats(-3, 3), st.floats(-1, 1))
def test_where_on_the_field_a_play_happens_does_not_matter(x: float, y: float) -> None:
    play = PASSES[0]
    shifted = moved(play, x=play.samples.x + np.float32(x), y=play.samples.y + np.float32(y))
    assert_alike(compute(play), compute(shifted), atol=2e-3)


def test_a_feed_without_orientation_or_acceleration_is_enough() -> None:
    play = PASSES[0]
    absent = np.full(len(play.samples), np.nan, np.float32)
    batch = compute(moved(play, orientation=absent, acceleration=absent, distance=absent))
    assert not batch.tensors["defender"][..., 6:].any()
    assert np.isfinite(batch.tensors["defender"]).all()


def test_a_missing_ball_tag_does_not_stop_it() -> None:
    play = PASSES[0]
    assert play.ball
    without = replace(play, samples=play.samples.take(~np.isin(play.samples.tag_id, play.ball.tag_ids)))
    assert np.isfinite(compute(without).tensors["ball"]).all()


def test_a_defender_without_samples_is_left_out_with_the_reason() -> None:
    play = PASSES[0]
    gone = play.defensive_backs()[0]
    assert play.forward_pass
    release = play.forward_pass.forward_frame
    lost = np.isin(play.samples.tag_id, gone.tag_ids) & (np.abs(play.samples.frame - release) <= 6)
    batch = compute(replace(play, samples=play.samples.take(~lost)))
    assert gone.participant_id not in batch.defender_ids
    assert batch.skipped == {gone.participant_id: "no samples for 0.5 of the 0.5 s before the pass"}


def test_a_defender_who_left_the_field_is_left_out() -> None:
    play = PASSES[0]
    gone = play.defensive_backs()[0]
    own = np.isin(play.samples.tag_id, gone.tag_ids)
    batch = compute(moved(play, y=np.where(own, -2, play.samples.y).astype(np.float32)))
    assert batch.skipped == {gone.participant_id: "left the field before the pass"}


def test_what_cannot_be_computed_is_told() -> None:
    play, run = PASSES[0], next(play for play in GAME.plays if not play.forward_pass)
    assert play.forward_pass
    with pytest.raises(FailedPrecondition, match="has no forward pass"):
        compute(run)
    with pytest.raises(InvalidInput, match=r"target_ids\[1\]: 'nobody' is not an eligible receiver"):
        compute(play, [eligible(play)[0], "nobody"])
    with pytest.raises(InvalidInput, match=r"defender_ids\[0\]: 'nobody' is not a defender"):
        compute(play, defenders=["nobody"])
    with pytest.raises(InvalidInput, match="does not tell who was targeted"):
        compute(replace(play, forward_pass=replace(play.forward_pass, target_id="")))
    endless = replace(play.forward_pass, arrived_frame=play.forward_pass.forward_frame + 41)
    with pytest.raises(FailedPrecondition, match="more than 4 s"):
        compute(replace(play, forward_pass=endless))
    target = play.participant(play.forward_pass.target_id)
    assert target
    without = play.samples.take(~np.isin(play.samples.tag_id, target.tag_ids))
    with pytest.raises(FailedPrecondition, match="lacks samples"):
        compute(replace(play, samples=without))
    with pytest.raises(NotFound, match="there is no feature set 'x@1'"):
        feature_sets.get("x@1")
