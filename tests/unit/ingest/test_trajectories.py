"""What is mended and left out when a play is read."""

from dataclasses import replace

import numpy as np
import pytest

from ghostback.play import Samples
from services.ingest.ledger import Ledger, judge
from services.ingest.policies import POLICIES, Action, Policy, Reason
from services.ingest.rules import Roster
from services.ingest.trajectories import Repair, Stored, Trajectories, kept_faults, mend

ONE, OTHER, BALL = 7, 8, 1
ROSTER = Roster({ONE: True, OTHER: True, BALL: False})
LIVE, STRICT, ARCHIVE = (Policy(POLICIES[name]) for name in ("live", "strict", "archive"))
N = 40


def play(rate: float = 10.0) -> Samples:
    """Two players who run side by side on a curve, 12 yards apart, as a feed sends them."""
    time = np.arange(N) / rate
    parts = [
        Samples.from_columns(
            {
                "tag_id": np.full(N, tag),
                "frame": np.arange(N),
                "x": 40 + 5 * time,
                "y": y + 2 * np.sin(time),
                "speed": np.hypot(5, 2 * np.cos(time)),
                "direction": (355 + 5 * time) % 360,
            }
        )
        for tag, y in ((ONE, 15.0), (OTHER, 27.0))
    ]
    return Samples.concatenate(parts).sorted_by_frame()


def stored(samples: Samples, policy: Policy, rate: float = 10.0) -> Stored:
    """What the server keeps of samples."""
    (judgement,) = judge([(Ledger(ROSTER, rate, policy.limits.frames), samples)], policy)
    fit = judgement.reasons == Reason.FIT
    return Stored(samples.take(fit), samples.take(~fit), judgement.reasons[~fit], ROSTER, rate)


def read(samples: Samples, policy: Policy, rate: float = 10.0) -> Trajectories:
    return mend(stored(samples, policy, rate), policy)


def at(samples: Samples, tag: int, frames: range) -> np.ndarray:
    return (samples.tag_id == tag) & np.isin(samples.frame, frames)


@pytest.mark.parametrize("policy", [LIVE, STRICT, ARCHIVE])
def test_a_faultless_play_comes_back_as_it_was(policy: Policy) -> None:
    assert read(play(), policy) == Trajectories(play(), (), {})
    assert not kept_faults(stored(play(), policy), policy)


def test_a_short_gap_is_filled_near_the_truth_and_marked_and_nothing_else_is_touched() -> None:
    whole = play()
    mended = read(whole.take(~at(whole, ONE, range(10, 14))), LIVE)
    assert mended.repairs == (Repair(ONE, 10, 13, Reason.GAP),)
    filled = at(mended.samples, ONE, range(10, 14))
    assert mended.samples.take(~filled) == whole.take(~at(whole, ONE, range(10, 14)))
    truth = whole.take(at(whole, ONE, range(10, 14)))
    assert np.hypot(mended.samples.x[filled] - truth.x, mended.samples.y[filled] - truth.y).max() < 0.05
    assert np.abs((mended.samples.direction[filled] - truth.direction + 180) % 360 - 180).max() < 0.1


def test_a_long_gap_stays_and_is_counted() -> None:
    whole = play()
    samples = whole.take(~at(whole, ONE, range(10, 16)))
    assert read(samples, LIVE) == Trajectories(samples, (), {})
    assert kept_faults(stored(samples, LIVE), LIVE) == {Reason.GAP: 6}
    rejecting = Policy(POLICIES["live"] | {Reason.GAP: Action.REJECT_TRAJECTORY})
    assert read(samples, rejecting).rejected == {ONE: Reason.GAP}


def test_a_spike_is_replaced_and_named_for_what_it_was() -> None:
    whole = play()
    spike = at(whole, OTHER, range(20, 21))
    mended = read(replace(whole, y=np.where(spike, whole.y + 9, whole.y)), LIVE)
    assert mended.repairs == (Repair(OTHER, 20, 20, Reason.DISPLACEMENT),)
    assert np.abs(mended.samples.y - whole.y).max() < 0.05


def test_swapped_tags_are_put_right_and_marked() -> None:
    whole = play()
    during = np.isin(whole.frame, range(15, 30))
    exchanged = replace(whole, tag_id=np.where(during, ONE + OTHER - whole.tag_id, whole.tag_id))
    exchanged = exchanged.sorted_by_frame()
    mended = read(exchanged, LIVE)
    assert mended.samples == whole
    assert mended.repairs == (Repair(ONE, 15, 29, Reason.SWAPPED_TAGS), Repair(OTHER, 15, 29, Reason.SWAPPED_TAGS))
    assert read(exchanged, STRICT).rejected == {ONE: Reason.SWAPPED_TAGS, OTHER: Reason.SWAPPED_TAGS}
    assert kept_faults(stored(exchanged, ARCHIVE), ARCHIVE)[Reason.SWAPPED_TAGS] == 30


def test_strict_leaves_out_who_leaves_the_field() -> None:
    whole = play()
    away = replace(whole, y=np.where(at(whole, ONE, range(30, 31)), 90, whole.y))
    mended = read(away, STRICT)
    assert mended.rejected == {ONE: Reason.OFF_FIELD}
    assert mended.samples == whole.take(whole.tag_id == OTHER)
    assert [repair.reason for repair in read(away, LIVE).repairs] == [Reason.OFF_FIELD]


def test_a_wrong_sample_rate_shows_in_what_the_tags_move() -> None:
    samples = play(rate=25.0)
    assert read(samples, STRICT, rate=10.0).rejected == {ONE: Reason.SAMPLE_RATE, OTHER: Reason.SAMPLE_RATE}
    assert not read(samples, STRICT, rate=25.0).rejected
    assert kept_faults(stored(samples, LIVE, rate=10.0), LIVE) == {Reason.SAMPLE_RATE: 2 * N}
