"""True tracks of whole plays: players and ball, frame by frame, from before the snap to after the whistle."""

import numpy as np

from simulator.dropback import Dropback
from simulator.flight import AFTER_WHISTLE, Aftermath
from simulator.outcome import Ending
from simulator.playbook import QUARTERBACK, Kind
from simulator.script import Scripts
from simulator.values import BEFORE_SNAP, RATE, Floats

_SNAP, _EXCHANGE = 3, 3  # frames the ball takes to the quarterback, and from one player to another


def track(scripts: Scripts, before: Dropback, after: Aftermath, row: int, replay: int) -> tuple[Floats, Floats]:
    """Positions and velocities (n_frames, 23, 2) of one play, the ball last, offense toward +x.

    Args:
        scripts: of the game's plays.
        before: of the game's plays.
        after: of the plays played out.
        row: the play, counted in the game.
        replay: the same play, counted in `after`.
    """
    action, stop = scripts.action[row], after.end[replay] + AFTER_WHISTLE + 1
    position = np.concatenate(
        [
            np.repeat(before.position[:1, row], BEFORE_SNAP, axis=0),
            before.position[:action, row],
            after.position[:stop, replay],
        ]
    )
    velocity = np.concatenate(
        [
            np.zeros((BEFORE_SNAP, *before.velocity.shape[2:])),
            before.velocity[:action, row],
            after.velocity[:stop, replay],
        ]
    )
    ball = _ball(scripts, after, row, replay, position)
    moved = RATE * np.diff(ball, axis=0, prepend=ball[:1])
    return np.concatenate([position, ball[:, None]], axis=1), np.concatenate([velocity, moved[:, None]], axis=1)


def _ball(scripts: Scripts, after: Aftermath, row: int, replay: int, position: Floats) -> Floats:
    """The ball (n_frames, 2): snapped, held, handed over or thrown, caught or dead."""
    frame = np.arange(len(position))[:, None]
    release = BEFORE_SNAP + scripts.action[row]
    spot = np.array([scripts.line[row], scripts.ball_y[row]])
    quarterback = position[:, QUARTERBACK]
    snapped = np.clip((frame - BEFORE_SNAP) / _SNAP, 0.0, 1.0)
    ball = spot + snapped * (quarterback - spot)
    holder, place, flight = after.holder[replay], after.place[replay], after.flight[replay]
    if scripts.kind[row] == Kind.PASS:
        hand = quarterback[release]
        flown = np.clip((frame - release) / flight, 0.0, 1.0)
        ball = np.where(frame > release, hand + flown * (place - hand), ball)
        if after.ending[replay] == Ending.INCOMPLETE:
            beyond = np.maximum(frame - release - flight, 0) / RATE
            rolls = 0.25 * (1.0 - np.exp(-beyond / 0.25)) * (place - hand) / (flight / RATE)
            return np.asarray(ball + rolls)
    handed = np.clip((frame - release - flight) / _EXCHANGE, 0.0, 1.0)
    return np.asarray(ball + handed * (position[:, holder] - ball))
