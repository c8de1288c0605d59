"""The cleaning rules."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghostback.play import Samples
from services.ingest.continuity import LastFit
from services.ingest.policies import POLICIES, Action, Limits, Policy, Reason
from services.ingest.rules import Roster, Tags, by_tag, clean

STRICT, ARCHIVE = Policy(POLICIES["strict"]), Policy(POLICIES["archive"])
PLAYER, BALL, STRANGER = 7, 1, 99
ROSTER = Roster({PLAYER: True, 8: True, BALL: False})


def feed(n: int = 1, tag: int = PLAYER, **columns: object) -> Samples:
    """A player who runs along the field at 5 yd/s."""
    run = {
        "tag_id": np.full(n, tag),
        "frame": np.arange(1, n + 1),
        "x": 50 + 0.5 * np.arange(n),
        "y": np.full(n, 20.0),
        "speed": np.full(n, 5.0),
    }
    return Samples.from_columns(run | {name: np.asarray(values) for name, values in columns.items()})


NOTHING = LastFit.none(len(ROSTER.tags))


def judged(
    samples: Samples, last: LastFit = NOTHING, rate: float = 10.0, policy: Policy | None = None
) -> tuple[np.ndarray, LastFit]:
    tags = Tags(ROSTER.player, np.full(len(ROSTER.tags), rate))
    rows = ROSTER.rows_of(samples.tag_id)
    order, _ = by_tag(rows, samples.frame)
    return clean(samples, rows, order, np.zeros(len(samples), bool), tags, last, policy or STRICT)


def judge(samples: Samples, rate: float = 10.0, policy: Policy | None = None) -> list[int]:
    return judged(samples, rate=rate, policy=policy)[0].tolist()


def test_a_player_who_runs_is_fit() -> None:
    assert judge(feed(30)) == [Reason.FIT] * 30


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"x": [np.nan]}, Reason.NOT_FINITE),
        ({"y": [np.inf]}, Reason.NOT_FINITE),
        ({"acceleration": [np.inf]}, Reason.NOT_FINITE),
        ({"tag_id": [STRANGER]}, Reason.UNKNOWN_TAG),
        ({"x": [-10.5]}, Reason.OFF_FIELD),
        ({"y": [64.0]}, Reason.OFF_FIELD),
        ({"speed": [12.48]}, Reason.SPEED),
        ({"orientation": [361.0]}, Reason.ANGLE),
        ({"direction": [-1.0]}, Reason.ANGLE),
        ({"frame": [-1]}, Reason.RANGE),
        ({"frame": [Limits().frames]}, Reason.RANGE),
        ({"speed": [-0.1]}, Reason.RANGE),
        ({"distance": [-0.1]}, Reason.RANGE),
    ],
)
def test_each_rule_names_its_reason(columns: dict[str, list[float]], reason: Reason) -> None:
    assert judge(feed(1, **columns)) == [reason]


@pytest.mark.parametrize(
    "columns",
    [{"speed": [12.47]}, {"x": [-9.5]}, {"direction": [360.0]}, {"orientation": [np.nan]}, {"speed": [np.nan]}],
)
def test_what_is_within_bounds_or_not_reported_is_fit(columns: dict[str, list[float]]) -> None:
    assert judge(feed(1, **columns)) == [Reason.FIT]


def test_a_ball_may_fly_faster_than_a_player_runs() -> None:
    assert judge(feed(5, BALL, x=[50, 53, 56, 59, 62], speed=[30] * 5)) == [Reason.FIT] * 5


def test_one_spike_takes_nothing_after_it_along() -> None:
    x = 50 + 0.5 * np.arange(6)
    x[2] += 9
    assert judge(feed(6, x=x)) == [0, 0, Reason.DISPLACEMENT, 0, 0, 0]


def test_displacement_is_measured_over_the_time_that_passed() -> None:
    assert judge(feed(2, frame=[1, 4], x=[50, 53.7])) == [0, 0]
    assert judge(feed(2, frame=[1, 4], x=[50, 53.8])) == [0, Reason.DISPLACEMENT]
    assert judge(feed(2, x=[50, 50.6]), rate=25.0) == [0, Reason.DISPLACEMENT]


def test_a_tag_that_stays_while_it_reports_speed_is_frozen() -> None:
    x = 50 + 0.5 * np.arange(6)
    x[2:4] = x[1]
    assert judge(feed(6, x=x)) == [0, 0, Reason.FROZEN, Reason.FROZEN, 0, 0]
    assert judge(feed(6, x=np.full(6, 50.0), speed=np.full(6, 1.9))) == [0] * 6


def test_a_sample_that_comes_late_is_out_of_order_and_much_later_the_clock_ran_backwards() -> None:
    frame, x = np.array([20, 21, 23, 22, 24, 5, 25]), np.array([60, 60.5, 61.5, 61, 62, 52.5, 62.5])
    strict = judge(feed(7, frame=frame, x=x))
    assert strict == [0, 0, 0, 0, 0, Reason.CLOCK_BACKWARDS, 0]
    ordered = Policy(POLICIES["strict"] | {Reason.OUT_OF_ORDER: Action.REJECT})
    assert judge(feed(7, frame=frame, x=x), policy=ordered) == [0, 0, 0, Reason.OUT_OF_ORDER, 0, 5 + 6, 0]
    assert judge(feed(7, frame=frame, x=x), policy=ARCHIVE) == [0] * 7


def test_a_late_sample_is_held_to_the_same_speed() -> None:
    assert judge(feed(3, frame=[20, 22, 21], x=[60, 61, 75])) == [0, 0, Reason.DISPLACEMENT]


def test_the_archive_holds_back_only_what_cannot_be_placed() -> None:
    x = np.array([50.0, 70, 71, 300, np.nan])
    samples = feed(5, x=x, speed=[5, 50, 5, 5, 5], tag_id=[PLAYER, PLAYER, STRANGER, PLAYER, PLAYER])
    assert judge(samples, policy=ARCHIVE) == [0, 0, Reason.UNKNOWN_TAG, 0, Reason.NOT_FINITE]


@pytest.mark.parametrize(("reason", "action"), [(Reason.UNKNOWN_TAG, Action.KEEP), (Reason.GAP, Action.REJECT)])
def test_an_action_that_makes_no_sense_is_refused(reason: Reason, action: Action) -> None:
    with pytest.raises(ValueError, match=reason.name):
        Policy(POLICIES["live"] | {reason: action})


def test_a_tag_that_was_put_elsewhere_is_trusted_again() -> None:
    reasons = judge(feed(12, x=np.r_[50.0, np.full(11, 60.0)], speed=np.zeros(12)))
    assert reasons[1] == Reason.DISPLACEMENT
    assert reasons[-1] == Reason.FIT


values = st.floats(-20, 140, width=32) | st.just(float("nan"))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([PLAYER, 8, BALL, STRANGER]), values, values), min_size=2, max_size=60),
    st.data(),
)
def test_a_feed_cut_into_batches_anywhere_is_judged_alike(
    rows: list[tuple[int, float, float]], data: st.DataObject
) -> None:
    n = len(rows)
    tag, x, y = zip(*rows, strict=True)
    frame = data.draw(st.permutations(range(n)) | st.just(range(n)))
    samples = feed(n, tag_id=tag, x=x, y=y, frame=np.array(frame))
    whole = judge(samples)
    cut = data.draw(st.integers(1, n - 1))
    first, last = judged(samples.take(slice(0, cut)))
    second, _ = judged(samples.take(slice(cut, n)), last)
    assert [*first.tolist(), *second.tolist()] == whole


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(values, values), min_size=2, max_size=60))
def test_no_two_fit_samples_of_a_player_are_farther_apart_than_he_can_run(rows: list[tuple[float, float]]) -> None:
    x, y = zip(*rows, strict=True)
    samples = feed(len(rows), x=x, y=y)
    fit = samples.take(judged(samples)[0] == Reason.FIT)
    moved = np.hypot(np.diff(fit.x.astype(float)), np.diff(fit.y.astype(float)))
    assert (moved <= Limits().displacement * np.diff(fit.frame) + 1e-9).all()
