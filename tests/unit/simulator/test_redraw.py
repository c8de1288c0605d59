"""The same play with other reactions of the defense: what no prediction made at the throw can know."""

import numpy as np
import pytest

from ghostback.play import PassOutcome, Play, Samples
from simulator.game import SimulatedGame, simulate_game
from simulator.outcome import Catch
from simulator.playbook import Kind
from simulator.script import REACTIONS, THROW


@pytest.fixture(scope="module")
def game() -> SimulatedGame:
    return simulate_game(83, 60)


@pytest.fixture(scope="module")
def redrawn(game: SimulatedGame) -> SimulatedGame:
    return game.redraw(1)


def until(play: Play, frame: int) -> Samples:
    return play.samples.take(play.samples.frame <= frame)


def passes(game: SimulatedGame) -> list[Play]:
    return [play for play in game.plays if play.forward_pass]


def target_of(play: Play) -> str:
    assert play.forward_pass
    return play.forward_pass.target_id


def test_a_redrawn_play_is_the_same_until_the_release_and_so_is_its_pass(
    game: SimulatedGame, redrawn: SimulatedGame
) -> None:
    for play, other in zip(game.plays, redrawn.plays, strict=True):
        assert (play.participants, play.situation, play.start_time) == (
            other.participants,
            other.situation,
            other.start_time,
        )
        if play.forward_pass:
            assert other.forward_pass
            forward = play.forward_pass.forward_frame
            assert other.forward_pass.target_id == play.forward_pass.target_id
            assert other.forward_pass.forward_frame == forward
            assert other.forward_pass.arrived_frame == play.forward_pass.arrived_frame
            assert until(play, forward) == until(other, forward)


def test_only_the_defense_moves_differently_while_the_ball_is_in_the_air(
    game: SimulatedGame, redrawn: SimulatedGame
) -> None:
    moved = []
    for row in np.flatnonzero(game.truth.scripts.kind == Kind.PASS):
        flight = slice(1, game.truth.after.flight[row] + 1)
        one, other = (g.truth.after.position[flight, row] for g in (game, redrawn))
        assert np.array_equal(one[:, 6:11], other[:, 6:11])
        moved.append(float(np.linalg.norm(one[:, 15:] - other[:, 15:], axis=-1).mean()))
    assert 0.1 < np.mean(moved) < 1.0
    assert np.count_nonzero(moved) > 0.9 * len(moved)


def test_a_draw_is_the_same_every_time_and_another_draw_another(game: SimulatedGame, redrawn: SimulatedGame) -> None:
    assert game.redraw(1).plays == redrawn.plays
    assert redrawn.redraw(1).plays == redrawn.plays
    assert game.redraw(2).plays != redrawn.plays
    assert game.plays != redrawn.plays
    for name in REACTIONS:
        assert not np.array_equal(getattr(game.truth.scripts, name), getattr(redrawn.truth.scripts, name))


def test_what_ifs_can_be_redrawn_too(game: SimulatedGame, redrawn: SimulatedGame) -> None:
    play = next(play for play in game.plays if play.forward_pass)
    assert play.forward_pass
    forward = play.forward_pass.forward_frame
    for receiver in play.eligible_receivers():
        one, other = (g.retarget(play.play_id, receiver.participant_id) for g in (game, redrawn))
        assert until(one, forward) == until(other, forward)
        assert one != other


def test_a_draw_below_one_is_refused(game: SimulatedGame) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        game.redraw(0)


def test_with_the_throw_drawn_too_the_pass_is_another_from_the_release_on(
    game: SimulatedGame, redrawn: SimulatedGame
) -> None:
    other = game.redraw(1, throw=True)
    for one, two in zip(game.plays, other.plays, strict=True):
        if one.forward_pass:
            forward = one.forward_pass.forward_frame
            assert until(one, forward) == until(two, forward)
    assert not np.array_equal(game.truth.after.place, other.truth.after.place)
    for name in (*REACTIONS, *THROW):
        first, second, third = (getattr(each.truth.scripts, name) for each in (game, redrawn, other))
        assert not np.array_equal(first, third)
        assert np.array_equal(second, third) == (name in REACTIONS)


def test_a_pass_ends_over_many_draws_as_often_in_each_way_as_its_probabilities_at_the_throw_say(
    game: SimulatedGame,
) -> None:
    draws = 12
    probabilities = game.at_throw(draws)
    told = np.array([probabilities[play.play_id, target_of(play)] for play in passes(game)])
    ends = [[play.forward_pass.outcome for play in passes(game.redraw(i, throw=True))] for i in range(1, draws + 1)]  # type: ignore[union-attr]
    for column, outcome in enumerate((PassOutcome.COMPLETE, PassOutcome.INTERCEPTED)):
        frequency = np.mean([[end is outcome for end in each] for each in ends], axis=0)
        spread = np.sqrt(told[:, column] * (1 - told[:, column]) / draws)
        assert (np.abs(frequency - told[:, column]) < 4.5 * spread + 0.02).all()
        assert abs(frequency.mean() - told[:, column].mean()) < 4 * np.sqrt((spread**2).sum()) / len(told)
    assert np.std(told[:, 0]) > 0.1


def test_probabilities_at_arrival_are_those_of_the_game_and_its_what_ifs_and_agree_with_how_passes_end() -> None:
    games = [simulate_game(seed, 60) for seed in range(90, 92)]
    told, ended = [], []
    for game in games:
        probabilities = game.at_arrival()
        replays = game.retarget_all()
        assert probabilities.keys() == replays.keys()
        for row, play in enumerate(game.plays):
            if play.forward_pass:
                truth = game.truth.of_play(row)
                assert probabilities[play.play_id, target_of(play)] == (
                    truth.catch_probability,
                    truth.interception_probability,
                )
        told += list(probabilities.values())
        ended += [play.forward_pass.outcome for play in replays.values()]  # type: ignore[union-attr]
    expected = np.array(told)
    for column, outcome in enumerate((PassOutcome.COMPLETE, PassOutcome.INTERCEPTED)):
        happened = np.array([end is outcome for end in ended])
        order = np.argsort(expected[:, column])
        for rows in np.array_split(order, 3):
            spread = np.sqrt((expected[rows, column] * (1 - expected[rows, column])).sum()) / len(rows)
            assert abs(happened[rows].mean() - expected[rows, column].mean()) < 4 * 5**0.5 * spread + 1e-9
    assert (expected >= 0).all()
    assert (expected.sum(axis=1) <= 1).all()


def test_endings_are_those_of_the_plays_thrown_anew(game: SimulatedGame) -> None:
    endings, anew = game.endings(2), game.redraw(2, throw=True)
    for play in passes(anew):
        catches, yards = endings[play.play_id, target_of(play)]
        assert play.forward_pass
        assert (catches[1] == Catch.COMPLETE) == (play.forward_pass.outcome is PassOutcome.COMPLETE)
        assert (catches[1] == Catch.INTERCEPTED) == (play.forward_pass.outcome is PassOutcome.INTERCEPTED)
        if catches[1] == Catch.COMPLETE:
            assert f"for {yards[1]:.0f} yards" in play.description


def test_gains_are_those_of_the_passes_thrown_anew_and_end_at_the_end_zone(game: SimulatedGame) -> None:
    thrown = [(play.play_id, target_of(play)) for play in passes(game)]
    gains, endings = game.gains(thrown, 2), game.endings(2)
    for attempt, gained in zip(thrown, gains, strict=True):
        catches, yards = endings[attempt]
        caught = catches == Catch.COMPLETE
        np.testing.assert_array_equal(np.isnan(gained), ~caught)
        play = next(play for play in game.plays if play.play_id == attempt[0])
        line = play.situation.line_of_scrimmage
        to_end_zone = 110.0 - line if play.offense_direction > 0 else line - 10.0
        np.testing.assert_allclose(gained[caught], np.minimum(yards[caught], to_end_zone))


def test_from_arrival_on_only_what_follows_is_drawn_anew(game: SimulatedGame) -> None:
    thrown = [(play.play_id, target_of(play)) for play in passes(game)]
    gains = game.gains(thrown, 4, from_arrival=True)
    complete = [play.forward_pass and play.forward_pass.outcome is PassOutcome.COMPLETE for play in passes(game)]
    np.testing.assert_array_equal(np.isfinite(gains), np.repeat(np.array(complete)[:, None], 4, axis=1))
    again = game.gains(thrown, 4)
    caught = np.isfinite(gains + again).all(axis=1)
    assert 0 < np.median(np.ptp(gains[caught], axis=1)) < np.median(np.ptp(again[caught], axis=1))
