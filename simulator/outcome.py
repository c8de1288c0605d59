"""How a pass and a run end: caught, dropped, defended, intercepted; tackled, out of bounds, in the end zone."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from ghostback.play import FIELD_LENGTH, FIELD_WIDTH
from simulator.dropback import State, blocked
from simulator.motion import length
from simulator.playbook import DEFENSE, N_DEFENSE, OFFENSE, Kind
from simulator.script import Scripts
from simulator.values import MAX_FLIGHT, RATE, Flags, Floats, Ints

DROPS = 0.045
"""Share of balls dropped that would have been caught."""
REACH = 1.6
"""Yards a player stretches for a ball."""
_HANDS_ON = 1.2  # yards from the ball within which a defender breaks up an incompletion
_CONTACT = 1.8  # yards within which a defender gets his hands on the carrier
_HOLD = 0.6  # chance that one defender's contact ends the play, each frame
_BLOCKED_HANDS = 0.02  # what a blocked defender's contact counts


class Ending(IntEnum):
    """How a play ends."""

    TACKLE = 0
    SACK = 1
    OUT_OF_BOUNDS = 2
    TOUCHDOWN = 3
    INCOMPLETE = 4


class Catch(IntEnum):
    """How a pass ends."""

    NO_PASS = 0
    COMPLETE = 1
    INCOMPLETE = 2
    INTERCEPTED = 3
    DROPPED = 4
    DEFENDED = 5


@dataclass(frozen=True, slots=True)
class Arrival:
    """What becomes of n balls that come down.

    Attributes:
        catch: (n,) `Catch`.
        nearest: (n,) defender (0-10) nearest to the ball.
        probability: (n,) of a catch, before the ball is touched.
        interception: (n,) probability of an interception, likewise.
    """

    catch: Ints
    nearest: Ints
    probability: Floats
    interception: Floats


def arrive(scripts: Scripts, state: State, target: Ints, place: Floats, throw_length: Floats) -> Arrival:
    """What would become of passes that come down now at a place (n, 2), thrown `throw_length` (n,) yards."""
    plays = np.arange(len(scripts))
    miss = length(state.position[0, plays, 6 + target] - place)
    gaps = length(state.position[0, :, DEFENSE] - place[:, None])
    nearest = gaps.argmin(-1)
    gap = gaps[plays, nearest]
    ease = (
        3.9 - 1.2 * np.maximum(miss - 0.6, 0.0) - 2.8 * np.exp(-gap / 1.6) - 0.085 * np.maximum(throw_length - 9.0, 0.0)
    )
    ease -= 0.4 * scripts.hurried
    hands = np.where(miss < REACH, 1.0 / (1.0 + np.exp(-ease)), 0.0)
    picks = np.where(gap < REACH, 0.32 * np.exp(-gap), 0.0)
    probability = hands * (1.0 - DROPS)
    catch = np.select(
        [scripts.luck < probability, scripts.luck < hands, scripts.luck > 1.0 - picks, gap < _HANDS_ON],
        [Catch.COMPLETE, Catch.DROPPED, Catch.INTERCEPTED, Catch.DEFENDED],
        Catch.INCOMPLETE,
    )
    return Arrival(catch, nearest, probability, np.minimum(picks, 1.0 - hands))


def stopped(scripts: Scripts, state: State, holder: Ints, frame: int) -> tuple[Flags, Ints]:
    """Whether the play would end now (n,) and how (n,), were the holder running with the ball."""
    at = state.position[0, np.arange(len(scripts)), holder]
    turned = holder >= 11
    touching = length(state.position[0] - at[:, None]) < _CONTACT
    time = (scripts.action + frame) / RATE
    busy = blocked(scripts, state, time) | sealed(scripts, time)
    tackling = touching[:, DEFENSE] * np.where(busy, _BLOCKED_HANDS, 1.0)
    hands = np.where(turned, touching[:, OFFENSE].sum(-1), tackling.sum(-1))
    held = scripts.grip[:, min(frame, MAX_FLIGHT - 1)] > (1.0 - _HOLD) ** hands
    out = (at[:, 1] < 0.2) | (at[:, 1] > FIELD_WIDTH - 0.2) | (at[:, 0] < 0.2) | (at[:, 0] > FIELD_LENGTH - 0.2)
    scored = np.where(turned, at[:, 0] <= 10.0, at[:, 0] >= FIELD_LENGTH - 10.0)
    how = np.where(scored, Ending.TOUCHDOWN, np.where(out, Ending.OUT_OF_BOUNDS, Ending.TACKLE))
    return held | out | scored, how


def sealed(scripts: Scripts, time: Floats) -> Flags:
    """Linebackers (n, 11) whom a block keeps from a run for now."""
    box = (np.arange(N_DEFENSE) >= 4) & (np.arange(N_DEFENSE) < 7)
    held = box & (scripts.answer < 0.7) & (time[:, None] < 2.5 + scripts.delay)
    return np.asarray((scripts.kind == Kind.RUN)[:, None] & held)
