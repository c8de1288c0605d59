"""Plays as feeds send them."""

import numpy as np

from ghostback import feed
from ghostback.play import Samples
from simulator.game import simulate_game


def test_every_sample_is_sent_once_in_order_of_capture_a_second_at_a_time() -> None:
    play = simulate_game(81, 1).plays[0]
    parts = list(feed.batches(play))
    sent = Samples.concatenate(parts)
    assert (np.diff(sent.frame) >= 0).all()
    assert sent.sorted_by_frame() == play.samples.sorted_by_frame()
    assert all(np.ptp(part.frame) < play.sample_rate for part in parts)
    assert len(parts) == len(np.unique(play.samples.frame // 10))
