"""From the snap to the release, hand-off or collapse of the pocket: the part no target changes."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ghostback.play import FIELD_WIDTH
from simulator import motion
from simulator.motion import arrive, length, limited, unit
from simulator.playbook import (
    CARRIER,
    DEFENSE,
    ELIGIBLE,
    LINE,
    N_CORNERS,
    N_ELIGIBLE,
    N_PLAYERS,
    QUARTERBACK,
    Job,
    Kind,
    Match,
)
from simulator.script import Scripts
from simulator.values import RATE, Flags, Floats, Ints

MEMORY = 5
"""Frames, the present one included, that a defender's sight may lag over."""
_CUT_SPEED = (4.6, 6.0)  # yards per second carried through a route's corner: at a full turn, and more when straight
_ENGAGED_SPEED = (0.3, 1.6)  # yards per second of a rusher who is blocked, on runs and on passes
_ARMS = (2.2, 1.6)  # yards within which a lineman holds a rusher, on runs and on passes
_WIND_UP = 0.6  # seconds
_GAZE = (0.8, 3.6)  # yards per second toward where the quarterback looks, and more as he winds up
_PRESSED = 3.5  # yards from a rusher at which the quarterback moves off his spot
_MEETS_BACKS = 2.0  # yards downfield at which a man defender waits for a receiver behind the line
_OVER_THE_TOP, _COMES_UP = 2.0, 0.55  # yards deep defenders stay above a receiver; how far they come up to one
_HANDS_OVER = 7.5  # yards downfield beyond which a receiver is vertical
_ZONE_WIDTH = {Job.UNDER: 8.5, Job.DEEP: 12.0}


@dataclass(frozen=True, slots=True)
class State:
    """Where n plays stand at an instant.

    Attributes:
        position: (5, n, 22, 2) yards, the present first, then up to four frames back.
        velocity: (5, n, 22, 2) yards per second, likewise.
        acceleration: (n, 22, 2) yards per second squared.
        corner: (n, 5) the corner each receiver runs to.
    """

    position: Floats
    velocity: Floats
    acceleration: Floats
    corner: Ints

    def take(self, rows: Ints) -> Self:
        """The states of the chosen plays, repeated where asked."""
        return type(self)(self.position[:, rows], self.velocity[:, rows], self.acceleration[rows], self.corner[rows])

    def moved(self, wish: Floats, scripts: Scripts, vigour: Floats, time: Floats) -> Self:
        """The state a step later when everyone wishes for a velocity (n, 22, 2), with a share (n, 22) of his burst.

        Whoever has fallen, seconds (n,) after the snap, comes to rest.
        """
        fallen = scripts.fallen(time)
        wish, vigour = np.where(fallen[..., None], 0.0, wish), np.where(fallen, 1.0, vigour)
        position, velocity, acceleration = motion.step(
            self.position[0], self.velocity[0], self.acceleration, wish, scripts.top_speed, vigour * scripts.burst
        )
        return type(self)(
            np.concatenate([position[None], self.position[:-1]]),
            np.concatenate([velocity[None], self.velocity[:-1]]),
            acceleration,
            next_corner(scripts, position[:, ELIGIBLE], length(velocity[:, ELIGIBLE]), self.corner),
        )


@dataclass(frozen=True, slots=True)
class Dropback:
    """How n plays went until their action.

    Attributes:
        position: (n_frames, n, 22, 2) yards, from the snap; frames after a play's action mean nothing.
        velocity: (n_frames, n, 22, 2) yards per second.
        state: at each play's action.
    """

    position: Floats
    velocity: Floats
    state: State


def run(scripts: Scripts) -> Dropback:
    """Play everything up to the action, `scripts.action` frames after the snap."""
    n = len(scripts)
    state = State(
        np.repeat(scripts.start[None], MEMORY, axis=0),
        np.zeros((MEMORY, n, N_PLAYERS, 2)),
        np.zeros((n, N_PLAYERS, 2)),
        np.zeros((n, N_ELIGIBLE), np.intp),
    )
    positions, velocities, at_action = [scripts.start], [np.zeros_like(scripts.start)], state
    for frame in range(int(scripts.action.max())):
        time = np.full(n, frame / RATE)
        wish = np.concatenate(
            [
                _drop(scripts, state)[:, None],
                protect(scripts, state, time),
                routes(scripts, state.position[0, :, ELIGIBLE], state.corner, time),
                defend(scripts, state, time),
            ],
            axis=1,
        )
        state = state.moved(wish, scripts, scripts.vigour, time)
        positions.append(state.position[0])
        velocities.append(state.velocity[0])
        now = scripts.action == frame + 1
        at_action = State(
            np.where(now[:, None, None], state.position, at_action.position),
            np.where(now[:, None, None], state.velocity, at_action.velocity),
            np.where(now[:, None, None], state.acceleration, at_action.acceleration),
            np.where(now[:, None], state.corner, at_action.corner),
        )
    return Dropback(np.array(positions), np.array(velocities), at_action)


def _drop(scripts: Scripts, state: State) -> Floats:
    """Wishes (n, 2) of the quarterback: to his spot, and off it when a rusher comes near."""
    own = state.position[0, :, QUARTERBACK]
    away = own[:, None] - state.position[0, :, DEFENSE]
    rusher = np.where(scripts.job == Job.RUSH, length(away), np.inf).argmin(-1)
    off = away[np.arange(len(own)), rusher]
    slide = np.clip(_PRESSED - length(off), 0.0, None)[:, None] * unit(off) * (0.5, 1.0)
    passing = (scripts.kind != Kind.RUN)[:, None]
    return arrive(own, scripts.pocket + np.where(passing, slide, 0.0), 5.0)


def protect(scripts: Scripts, state: State, time: Floats) -> Floats:
    """Wishes (n, 5, 2) of the line: stay between a rusher and the quarterback, or drive him back."""
    position = state.position[0]
    own, defenders = position[:, LINE], position[:, DEFENSE]
    rusher = np.take_along_axis(defenders, scripts.block[..., None], axis=1)
    reach = np.where((scripts.kind == Kind.RUN)[:, None], 7.0, 5.0)
    runs = (scripts.kind == Kind.RUN)[:, None, None]
    carrier = np.where(runs, position[:, 6 + CARRIER, None], position[:, :1])
    guarded = rusher + 0.7 * unit(carrier - rusher)
    hold = scripts.start[:, LINE] + np.where(runs, (2.0, 0.0), (-2.0, 0.0))
    place = np.where((length(rusher - own) < reach)[..., None], guarded, hold)
    return limited(3.0 * (place - own), 4.5)


def next_corner(scripts: Scripts, receivers: Floats, speed: Floats, corner: Ints) -> Ints:
    """The corners to run to, (n, 5), once those reached are ticked off; the faster, the sooner."""
    place = _place(scripts, corner)
    return np.minimum(corner + (length(place - receivers) < 0.5 + 0.2 * speed), N_CORNERS - 1)


def routes(scripts: Scripts, own: Floats, corner: Ints, time: Floats) -> Floats:
    """Wishes (n, 5, 2) of the eligible receivers: their routes, with a jam or a block before them.

    The sharper the cut at a corner, the slower they come to it.
    """
    place = _place(scripts, corner)
    beyond = unit(_place(scripts, np.minimum(corner + 1, N_CORNERS - 1)) - place)
    away = place - own
    straight = 0.5 + 0.5 * (unit(away) * beyond).sum(-1)
    cut, more = _CUT_SPEED
    through = np.sqrt((cut + more * straight**2) ** 2 + 6.0 * length(away))
    pace = scripts.route_pace * scripts.top_speed[:, ELIGIBLE]
    elapsed = time[:, None]
    pace = np.where(elapsed < scripts.jammed, 0.35 * pace, pace)
    pace = np.where(elapsed < scripts.route_delay, 0.6, pace)
    running = unit(away) * np.minimum(through, pace)[..., None]
    last = length(place - scripts.corners[:, :, -1]) == 0.0
    return np.where(last[..., None], arrive(own, place, pace), running)


def _place(scripts: Scripts, corner: Ints) -> Floats:
    """The corner of the given number of each receiver's route, (n, 5, 2)."""
    return np.take_along_axis(scripts.corners, corner[..., None, None], axis=2)[..., 0, :]


def blocked(scripts: Scripts, state: State, time: Floats) -> Flags:
    """Rushers (n, 11) whom a lineman holds."""
    gaps = length(state.position[0, :, DEFENSE, None] - state.position[0, :, None, LINE])
    reach = np.where(scripts.kind == Kind.RUN, *_ARMS)[:, None]
    return np.asarray((scripts.job == Job.RUSH) & (gaps.min(-1) < reach) & (time[:, None] < scripts.shed))


def rush(scripts: Scripts, state: State, time: Floats, goal: Floats) -> Floats:
    """Wishes (n, 11, 2) of defenders if all rushed the goal (n, 2), as fast as their blocks let them."""
    own, held = state.position[0, :, DEFENSE], blocked(scripts, state, time)
    engaged = np.where(scripts.kind == Kind.RUN, *_ENGAGED_SPEED)[:, None]
    wish = arrive(own, goal[:, None], np.where(held, engaged, 0.9 * scripts.top_speed[:, DEFENSE]))
    return wish - held[..., None] * state.velocity[0, :, DEFENSE]


def defend(scripts: Scripts, state: State, time: Floats) -> Floats:
    """Wishes (n, 11, 2) of the defense, which does not know where the ball will go."""
    job = scripts.job[..., None]
    return np.where(
        job == Job.RUSH,
        rush(scripts, state, time, state.position[0, :, QUARTERBACK]),
        np.where(
            covers_man(scripts, state)[..., None],
            _cover_man(scripts, state, time),
            _cover_zone(scripts, state, time),
        ),
    )


def _seen(scripts: Scripts, columns: Floats) -> Floats:
    """What each defender sees of the receivers, (n, 11, 5, 2): the world as it was `lag` frames ago."""
    plays = np.arange(len(scripts))[:, None]
    seen: Floats = columns[:, :, ELIGIBLE][scripts.lag, plays]
    return seen


def covers_man(scripts: Scripts, state: State) -> Flags:
    """Who covers a man (n, 11): by assignment, or because his man went where the rule of the zone hands him over."""
    plays = np.arange(len(scripts))[:, None]
    at, started = state.position[0, :, ELIGIBLE][plays, scripts.man], scripts.start[:, ELIGIBLE][plays, scripts.man]
    deep = at[..., 0] - scripts.line[:, None] > _HANDS_OVER
    out = (at - started)[..., 1] * np.sign(started[..., 1] - scripts.ball_y[:, None]) > 1.5
    taken = ((scripts.match == Match.VERTICAL) & deep) | ((scripts.match == Match.SHORT) & ~deep & out)
    return np.asarray((scripts.job == Job.MAN) | taken)


def _cover_man(scripts: Scripts, state: State, time: Floats) -> Floats:
    """Stay on the man: over the top while there is a cushion, then on his hip; always a little late."""
    own = state.position[0, :, DEFENSE]
    chosen = scripts.man[..., None, None]
    position = np.take_along_axis(_seen(scripts, state.position), chosen, axis=2)[..., 0, :]
    velocity = np.take_along_axis(_seen(scripts, state.velocity), chosen, axis=2)[..., 0, :]
    position = position + velocity * (scripts.lag[..., None] / RATE)
    cushion = scripts.cushion * np.clip(1.0 - time[:, None] / 2.5, 0.0, 1.0)
    cushion = np.minimum(cushion, np.maximum(own[..., 0] - position[..., 0], 0.0))
    behind = np.where(length(own - position) < 1.2, 0.0, 0.4)
    place = position + np.stack([cushion + behind, scripts.leverage], axis=-1)
    place[..., 0] = np.maximum(place[..., 0], scripts.line[:, None] + _MEETS_BACKS)
    place[..., 1] = np.clip(place[..., 1], 1.0, FIELD_WIDTH - 1.0)
    backpedal = np.where(cushion > 3.5, 5.5, 0.97 * scripts.top_speed[:, DEFENSE])
    return limited(velocity + 2.5 * (place - own), backpedal)


def _cover_zone(scripts: Scripts, state: State, time: Floats) -> Floats:
    """Drop to the landmark, lean to the most pressing receivers in the zone, stay above them when deep.

    All lean to where the quarterback looks, more so as he winds up.
    """
    own = state.position[0, :, DEFENSE]
    position, velocity = _seen(scripts, state.position), _seen(scripts, state.velocity)
    deep = scripts.job == Job.DEEP
    width = np.where(deep, _ZONE_WIDTH[Job.DEEP], _ZONE_WIDTH[Job.UNDER])[..., None]
    off = position + 0.5 * velocity - scripts.landmark[:, :, None]
    depth = np.where(
        deep[..., None],
        np.minimum(off[..., 0] + 6.0, 0.0) / 12.0,
        np.where(off[..., 0] < 0.0, off[..., 0] / 14.0, off[..., 0] / 9.0),
    )
    first_read = np.arange(N_ELIGIBLE) == scripts.first_read[:, None, None]
    pressing = np.exp(-((off[..., 1] / width) ** 2) - depth**2) * np.where(first_read, 1.3, 1.0)
    weight = np.minimum(1.3 * pressing.max(-1), 1.0)[..., None]
    share = (pressing**6 / np.maximum((pressing**6).sum(-1, keepdims=True), 1e-30))[..., None]
    at, going = (share * position).sum(2), (share * velocity).sum(2)
    lean = np.where(deep[..., None], (0.1, 0.95), (0.95, 1.0)) * weight
    place = scripts.landmark + lean * (at - scripts.landmark)
    above = at[..., 0] + 0.25 * going[..., 0] + _OVER_THE_TOP
    over = np.maximum(above, scripts.landmark[..., 0] + _COMES_UP * weight[..., 0] * (above - scripts.landmark[..., 0]))
    place[..., 0] = np.minimum(np.where(deep & (weight[..., 0] > 0.2), over, place[..., 0]), 118.5)
    wish = weight * going + 1.8 * (place - own)
    first = position[np.arange(len(scripts)), :, scripts.first_read]
    steady, more = _GAZE
    wish = wish + (steady + more * _winds_up(scripts, time))[:, None, None] * unit(first - own)
    return limited(wish, 0.92 * scripts.top_speed[:, DEFENSE])


def _winds_up(scripts: Scripts, time: Floats) -> Flags:
    """Whether the quarterback winds up for a pass (n,)."""
    release = scripts.action / RATE
    return np.asarray((release - _WIND_UP <= time) & (time < release) & (scripts.kind == Kind.PASS))
