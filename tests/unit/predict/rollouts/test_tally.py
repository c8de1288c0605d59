"""What is counted of an arm adds up, whoever counted it and in whatever order."""

from functools import reduce
from operator import add

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.predict.rollouts.tally import Pairs, Tally, latency_bucket, latency_limit

values = st.floats(0, 100, allow_nan=False).map(lambda value: round(value, 3))
pairs = st.builds(Pairs.of_play, values, values)
shares = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=4, max_size=4).map(tuple)
calls = st.builds(
    Tally.of_call,
    st.none() | st.floats(1e-4, 100),
    error=st.booleans(),
    non_finite=st.booleans(),
    superhuman=st.booleans(),
    inputs=st.dictionaries(st.sampled_from(["players", "ball"]), shares),
)
tallies = st.lists(calls | st.builds(Tally, ade=pairs, ts=pairs, loss=pairs), max_size=6).map(
    lambda each: reduce(add, each, Tally())
)


def close(one: Tally, other: Tally) -> None:
    for name in ("calls", "errors", "non_finite", "superhuman", "latency", "inputs"):
        assert getattr(one, name) == getattr(other, name)
    for name in ("ade", "ts", "loss"):
        assert getattr(one, name).model_dump() == pytest.approx(getattr(other, name).model_dump(), rel=1e-9)


@given(tallies, tallies, tallies)
def test_replicas_may_be_added_in_any_order_and_grouping(a: Tally, b: Tally, c: Tally) -> None:
    close(a + b, b + a)
    close((a + b) + c, a + (b + c))
    assert a + Tally() == a == Tally() + a


@given(st.lists(st.builds(Tally, ade=pairs, ts=pairs, loss=pairs) | calls, max_size=8), st.randoms())
def test_the_order_of_plays_does_not_matter(each: list[Tally], random: object) -> None:
    shuffled = list(each)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    close(reduce(add, each, Tally()), reduce(add, shuffled, Tally()))


@given(tallies)
def test_a_tally_comes_back_from_json_as_it_was(tally: Tally) -> None:
    assert Tally.model_validate_json(tally.model_dump_json()) == tally


@given(st.floats(1e-5, 1000))
def test_a_latency_is_known_within_a_tenth(seconds: float) -> None:
    limit = latency_limit(latency_bucket(seconds))
    assert seconds <= limit * (1 + 1e-12)
    assert limit < 1.1 * seconds
