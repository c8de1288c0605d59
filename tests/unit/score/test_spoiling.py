"""Spoiled starts."""

import numpy as np
import pytest

from ghostback.tracks import resample
from services.score.spoiling import spoil
from simulator.game import simulate_game

PLAY = next(play for play in simulate_game(41, 6).plays if play.forward_pass)
BACKS = [p.participant_id for p in PLAY.defensive_backs()]


def test_where_defenders_are_at_the_pass_and_everybody_else_stays() -> None:
    before, after = resample(PLAY, -0.4, 0.0), resample(spoil(PLAY, 1.0, 1), -0.4, 0.0)
    np.testing.assert_allclose(before.position[:, -1], after.position[:, -1], atol=1e-4)
    others = [row for row, name in enumerate(before.participant_ids) if name not in BACKS]
    np.testing.assert_array_equal(before.position[others], after.position[others])


def test_positions_agree_with_the_new_velocity() -> None:
    tracks = resample(spoil(PLAY, 1.0, 1), -0.4, 0.0)
    for name in BACKS:
        row = tracks.row(name)
        np.testing.assert_allclose(np.diff(tracks.position[row], axis=0) / 0.1, tracks.velocity[row, 1:], atol=2e-3)
        assert np.ptp(tracks.velocity[row], axis=0).max() < 1e-3


@pytest.mark.parametrize("fraction", [0.0, 0.25, 1.0])
def test_the_fraction_of_defenders_is_spoiled(fraction: float) -> None:
    changed = 0
    for seed in range(200):
        spoiled = resample(spoil(PLAY, fraction, seed), -0.4, 0.0)
        rows = [spoiled.row(name) for name in BACKS]
        changed += int((spoiled.velocity != resample(PLAY, -0.4, 0.0).velocity).any(axis=(1, 2))[rows].sum())
    assert changed / (200 * len(BACKS)) == pytest.approx(fraction, abs=0.05)


def test_the_same_seed_spoils_alike() -> None:
    assert spoil(PLAY, 0.5, 3).samples == spoil(PLAY, 0.5, 3).samples
    assert spoil(PLAY, 0.5, 3).samples != spoil(PLAY, 0.5, 4).samples
