"""Plays as feeds send them."""

from dataclasses import replace

import numpy as np

from ghostback import feed
from ghostback.play import PlayState, Samples
from simulator.game import simulate_game


def test_every_sample_is_sent_once_in_order_of_capture_a_second_at_a_time() -> None:
    play = simulate_game(81, 1).plays[0]
    parts = list(feed.batches(play))
    sent = Samples.concatenate(parts)
    assert (np.diff(sent.frame) >= 0).all()
    assert sent.sorted_by_frame() == play.samples.sorted_by_frame()
    assert all(np.ptp(part.frame) < play.sample_rate for part in parts)
    assert len(parts) == len(np.unique(play.samples.frame // 10))


def test_a_live_play_is_known_up_to_a_frame_and_no_further() -> None:
    play = next(play for play in simulate_game(81, 12).plays if play.forward_pass)
    thrown = play.forward_pass
    assert thrown
    before, in_air, arrived = (
        play.known_at(frame) for frame in (thrown.forward_frame - 1, thrown.arrived_frame - 1, thrown.arrived_frame)
    )
    assert before.forward_pass is None
    assert [event.name for event in before.events] == ["ball_snap"]
    assert in_air.forward_pass == replace(thrown, outcome=None, arrived_frame=0)
    assert arrived.forward_pass == replace(thrown, outcome=None)
    assert arrived.samples.frame.max() == thrown.arrived_frame
    assert (arrived.state, arrived.description) == (PlayState.LIVE, "")
