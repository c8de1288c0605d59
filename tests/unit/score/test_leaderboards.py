"""Leaderboards: who leads, how sure that is, and that they are the same in whatever order plays come."""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from services.score.leaderboards import SCALE, By, Leader, Order, Selection, Sums, rank
from services.score.statistics import Kind, Statistic
from services.score.store import Store
from simulator.game import simulate_game

SIMULATED = simulate_game(4, 4)
PLAYERS = st.sampled_from([("1", "Ann", "IVY", "QB"), ("2", "Bob", "IVY", "WR"), ("3", "Cy", "HAR", "QB")])
STATISTICS = st.lists(
    st.builds(
        lambda who, value: Statistic(Kind.COMPLETION, *who, value, value, 0.0, ()),
        PLAYERS,
        st.floats(-100, 100, allow_nan=False),
    ),
    max_size=4,
)


def sums(name: str, values: Sequence[float] | NDArray[np.float64]) -> Sums:
    whole = [round(value * SCALE) for value in values]
    return Sums(name, name, "IVY", "QB", len(whole), sum(whole), sum(value * value for value in whole))


def ids(leaders: Sequence[Leader]) -> list[str]:
    return [leader.sums.id for leader in leaders]


def test_a_mean_and_its_interval_are_those_of_students_t() -> None:
    values = [0.5, -0.25, 0.75, 0.1]
    [leader] = rank([sums("a", values)]).leaders
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (leader.mean, leader.total) == (pytest.approx(np.mean(values)), pytest.approx(np.sum(values)))
    assert leader.interval == (pytest.approx(low), pytest.approx(high))


def test_an_interval_covers_the_true_mean_as_often_as_it_says() -> None:
    draws = np.random.default_rng(5).normal(0.2, 1.0, (2_000, 6))
    intervals = [leader.interval for leader in rank([sums(str(i), each) for i, each in enumerate(draws)]).leaders]
    assert np.mean([each is not None and each[0] <= 0.2 <= each[1] for each in intervals]) == pytest.approx(
        0.95, abs=0.02
    )


def test_a_single_attempt_has_no_interval() -> None:
    [leader] = rank([sums("a", [1.0])]).leaders
    assert leader.interval is None


def test_those_with_few_attempts_are_drawn_further_toward_all() -> None:
    draws = np.random.default_rng(7)
    many = {str(i): draws.normal(i % 5 - 2, 1.0, 40) for i in range(20)}
    board = rank([*(sums(name, values) for name, values in many.items()), sums("few", [2.5, 3.5, 3.0])])
    drawn = {
        leader.sums.id: 1 - (leader.shrunk_mean - board.mean) / (leader.mean - board.mean) for leader in board.leaders
    }
    assert drawn.pop("few") > 5 * max(drawn.values()) > 0


def test_drawn_means_are_nearer_to_the_truth_than_plain_ones() -> None:
    draws = np.random.default_rng(3)
    truth = draws.normal(0.1, 0.05, 200)
    attempts = draws.integers(1, 60, 200)
    values = [draws.normal(mean, 0.45, n) for mean, n in zip(truth, attempts, strict=True)]
    leaders = rank([sums(f"{i:03}", each) for i, each in enumerate(values)]).leaders
    by_id = sorted(leaders, key=lambda leader: leader.sums.id)
    plain = np.mean((np.array([leader.mean for leader in by_id]) - truth) ** 2)
    drawn = np.mean((np.array([leader.shrunk_mean for leader in by_id]) - truth) ** 2)
    best = np.mean(
        (0.1 + 0.05**2 / (0.05**2 + 0.45**2 / attempts) * (np.array([x.mean for x in by_id]) - 0.1) - truth) ** 2
    )
    assert drawn < 0.3 * plain
    assert drawn < 1.2 * best


@pytest.mark.parametrize("values", [[[1.0], [2.0]], [[1.0, 3.0], [3.0, 1.0]], [[0.5, 1.5]]])
def test_where_nothing_tells_that_they_differ_everybody_gets_the_mean_of_all(values: list[list[float]]) -> None:
    board = rank([sums(str(i), each) for i, each in enumerate(values)])
    assert {leader.shrunk_mean for leader in board.leaders} == {board.mean}
    assert {leader.rank for leader in board.leaders} == {1}
    means = [leader.mean for leader in board.leaders]
    assert means == sorted(means, reverse=True)


def test_equal_ones_share_a_rank_and_those_with_too_few_attempts_count_in_the_mean_only() -> None:
    board = rank(
        [sums("d", [0.0, 0.0]), sums("b", [1.0, 1.0]), sums("a", [1.0, 1.0]), sums("c", [2.0, 2.0]), sums("e", [9.0])],
        min_attempts=2,
        order=Order.MEAN,
    )
    assert [(leader.rank, leader.sums.id) for leader in board.leaders] == [(1, "c"), (2, "a"), (2, "b"), (4, "d")]
    assert board.mean == pytest.approx(17 / 9)


@pytest.mark.parametrize(
    ("order", "expected"),
    [(Order.MEAN, ["b", "c", "a"]), (Order.TOTAL, ["c", "b", "a"]), (Order.ATTEMPTS, ["c", "a", "b"])],
)
def test_leaders_are_ranked_by_what_is_asked_for_from_either_end(order: Order, expected: list[str]) -> None:
    found = [sums("a", [0.1, 0.1]), sums("b", [0.8]), sums("c", [0.5, 0.5, 0.5])]
    assert ids(rank(found, order=order).leaders) == expected
    assert ids(rank(found, order=order, ascending=True).leaders) == expected[::-1]


def test_nobody_leads_where_nothing_counts() -> None:
    board = rank([])
    assert (list(board.leaders), board.mean) == ([], 0.0)


@settings(max_examples=25, deadline=None)
@given(
    final=st.lists(STATISTICS, min_size=4, max_size=4),
    earlier=st.lists(st.tuples(st.integers(0, 3), STATISTICS), max_size=5),
    data=st.data(),
)
def test_plays_that_come_in_any_order_corrected_repeated_and_cut_off_lead_to_the_same_leaders(
    final: list[list[Statistic]], earlier: list[tuple[int, list[Statistic]]], data: st.DataObject
) -> None:
    revisions: list[list[list[Statistic]]] = [[each for i, each in earlier if i == play] for play in range(4)]
    arrivals = [
        (play, revision + 1, statistics)
        for play in range(4)
        for revision, statistics in enumerate([*revisions[play], final[play]])
    ]
    repeats = data.draw(st.lists(st.sampled_from(arrivals), max_size=3))
    order = data.draw(st.permutations([*arrivals, *repeats]))
    killed = data.draw(st.sets(st.integers(0, len(order) - 1), max_size=2))
    with tempfile.TemporaryDirectory() as folder:
        once, bit_by_bit = f"sqlite:///{Path(folder) / 'once.db'}", f"sqlite:///{Path(folder) / 'bits.db'}"
        store = Store(once)
        for play in range(4):
            keep(store, play, 1, final[play])
        expected = boards(store)
        store.close()
        store = Store(bit_by_bit)
        for i, (play, revision, statistics) in enumerate(order):
            if i in killed:
                with pytest.raises(ValueError, match="NaN"):
                    keep(store, 0, 99, [*statistics, BROKEN])
                store.close()
                store = Store(bit_by_bit)
            keep(store, play, revision, statistics)
        assert boards(store) == expected
        store.close()


BROKEN = Statistic(Kind.COMPLETION, "1", "Ann", "IVY", "QB", math.nan, 0.0, 0.0, ())


def keep(store: Store, play: int, revision: int, statistics: Sequence[Statistic]) -> None:
    game = replace(SIMULATED.game, week=1 + play % 2)
    store.keep(SIMULATED.plays[play], game, revision, statistics, f"{play} {revision}")


def boards(store: Store) -> list[object]:
    selections = [
        Selection(Kind.COMPLETION),
        Selection(Kind.COMPLETION, By.TEAM),
        Selection(Kind.COMPLETION, By.POSITION, first_week=2),
    ]
    return [rank(store.sums(selection, store.latest())) for selection in selections]
