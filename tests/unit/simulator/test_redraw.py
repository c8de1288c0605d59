"""The same play with other reactions of the defense: what no prediction made at the throw can know."""

import numpy as np
import pytest

from ghostback.play import Play, Samples
from simulator.game import SimulatedGame, simulate_game
from simulator.playbook import Kind
from simulator.script import REACTIONS


@pytest.fixture(scope="module")
def game() -> SimulatedGame:
    return simulate_game(83, 60)


@pytest.fixture(scope="module")
def redrawn(game: SimulatedGame) -> SimulatedGame:
    return game.redraw(1)


def until(play: Play, frame: int) -> Samples:
    return play.samples.take(play.samples.frame <= frame)


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
