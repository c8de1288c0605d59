"""From the release, hand-off or collapse of the pocket to the whistle: the part a target decides."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ghostback.play import FIELD_LENGTH, FIELD_WIDTH
from simulator.dropback import State, blocked, defend, protect, routes, rush
from simulator.motion import arrive, length, limited, unit
from simulator.playbook import CARRIER, DEFENSE, ELIGIBLE, LINE, N_DEFENSE, N_PLAYERS, OFFENSE, QUARTERBACK, Job, Kind
from simulator.script import MAX_FLIGHT, RATE, Floats, Ints, Scripts
from simulator.throw import throws

AFTER_WHISTLE = 12
"""Frames recorded after the end of a play."""
_CONTACT = 1.5  # yards within which a defender gets his hands on the carrier
_HOLD = 0.5  # chance that one defender's contact ends the play, each frame
_BLOCKED_HANDS = 0.1  # what a blocked defender's contact counts
_REACH = 1.6  # yards a receiver stretches for a ball

Flags = NDArray[np.bool_]


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


class Answer(IntEnum):
    """What a defender does about a pass once he has seen it."""

    ATTACK = 0
    FOLLOW = 1
    DEEPEN = 2
    STAY = 3


@dataclass(frozen=True, slots=True)
class Aftermath:
    """How n plays ended; frames count from the action.

    Attributes:
        position: (n_frames, n, 22, 2) yards, from the action; frames more than `AFTER_WHISTLE` past
            a play's end mean nothing.
        velocity: (n_frames, n, 22, 2) yards per second.
        place: (n, 2) where the pass comes down.
        flight: (n,) frames the pass is in the air, 0 without one.
        catch: (n,) `Catch`.
        holder: (n,) slot of the player who has the ball at the end, -1 for nobody.
        end: (n,) frame of the whistle.
        ending: (n,) `Ending`.
    """

    position: Floats
    velocity: Floats
    place: Floats
    flight: Ints
    catch: Ints
    holder: Ints
    end: Ints
    ending: Ints


def play_out(scripts: Scripts, state: State, target: Ints) -> Aftermath:
    """Play from the action to the end.

    Args:
        scripts: of n plays.
        state: of the n plays at their action.
        target: (n,) receiver (0-4) thrown to; without meaning for plays that are no passes.
    """
    n = len(scripts)
    plays = np.arange(n)
    passed = scripts.kind == Kind.PASS
    options = throws(scripts, state)
    place = options.place[plays, target]
    flight = np.where(passed, options.flight[plays, target], 0)
    throw_length = length(place - state.position[0, :, QUARTERBACK])
    answer = _answers(scripts, state, target, place)
    delay = np.rint(RATE * _delays(scripts, answer)).astype(np.intp)

    holder = np.where(passed, -1, np.where(scripts.kind == Kind.RUN, 6 + CARRIER, QUARTERBACK))
    catch = np.full(n, Catch.NO_PASS, np.intp)
    end = np.full(n, MAX_FLIGHT - 1, np.intp)
    ending = np.where(scripts.kind == Kind.SACK, Ending.SACK, Ending.TACKLE).astype(np.intp)
    positions, velocities = [state.position[0]], [state.velocity[0]]
    for frame in range(MAX_FLIGHT + AFTER_WHISTLE - 1):
        landing = passed & (flight == frame)
        if landing.any():
            result, nearest = _catch(scripts, state, target, place, throw_length)
            catch = np.where(landing, result, catch)
            held_by = np.choose(result, [-1, 6 + target, -1, 11 + nearest])
            holder = np.where(landing, held_by, holder)
            incomplete = landing & (result == Catch.INCOMPLETE)
            end = np.where(incomplete, frame + scripts.call, end)
            ending = np.where(incomplete, Ending.INCOMPLETE, ending)
        running = (holder >= 0) & (frame < end) & (frame > np.where(passed, flight + scripts.call, 0))
        stopped, how = _stopped(scripts, state, holder, frame)
        stopped &= running
        end = np.where(stopped, frame, end)
        ending = np.where(stopped & (how != ending) & (how != Ending.TACKLE), how, ending)
        if (frame >= end + AFTER_WHISTLE).all():
            break

        wish, urgent = _wishes(scripts, state, target, place, flight, answer, delay, holder, frame)
        slowing = limited(state.velocity[0], np.maximum(length(state.velocity[0]) - 0.35, 0.0))
        vigour = np.where(urgent, 1.0, scripts.vigour)
        state = state.moved(np.where((frame >= end)[:, None, None], slowing, wish), scripts, vigour)
        positions.append(state.position[0])
        velocities.append(state.velocity[0])
    return Aftermath(np.array(positions), np.array(velocities), place, flight, catch, holder, end, ending)


def _answers(scripts: Scripts, state: State, target: Ints, place: Floats) -> Ints:
    """`Answer` (n, 11) of each defender to a pass that comes down at a place (n, 2)."""
    distance = length(state.position[0, :, DEFENSE] - place[:, None])
    covers = (scripts.job == Job.MAN) & (scripts.man == target[:, None])
    near = np.exp(-((distance / 10.0) ** 2))
    attack = np.where(covers, 0.75, 0.65 + 0.15 * near)
    follow = np.where(covers, 0.15, 0.05 * near)
    deepen = np.where(covers, 0.0, np.where(scripts.job == Job.DEEP, 0.10, 0.04))
    chances = np.cumsum(np.stack([attack, follow, deepen], axis=-1), axis=-1)
    return np.asarray((scripts.answer[..., None] > chances).sum(-1))


def _delays(scripts: Scripts, answer: Ints) -> Floats:
    """Seconds (n, 11) until each defender reacts: later with eyes on a man, later still to a run."""
    man = scripts.job == Job.MAN
    to_run = np.where(man, 0.5, np.where(scripts.job == Job.DEEP, 0.35, 0.1))
    run = (scripts.kind == Kind.RUN)[:, None]
    return scripts.delay + np.where(run, to_run, np.where(man & (answer != Answer.FOLLOW), 0.1, 0.0))


def _catch(scripts: Scripts, state: State, target: Ints, place: Floats, throw_length: Floats) -> tuple[Ints, Ints]:
    """`Catch` (n,) were the ball to come down now, and the defender (0-10) nearest to it (n,)."""
    plays = np.arange(len(scripts))
    miss = length(state.position[0, plays, 6 + target] - place)
    gaps = length(state.position[0, :, DEFENSE] - place[:, None])
    nearest = gaps.argmin(-1)
    gap = gaps[plays, nearest]
    ease = 2.0 - 1.2 * np.maximum(miss - 0.6, 0.0) - 2.6 * np.exp(-gap / 1.6) - 0.03 * throw_length
    caught = (scripts.luck < 1.0 / (1.0 + np.exp(-ease))) & (miss < _REACH)
    picked = ~caught & (gap < _REACH) & (scripts.luck > 1.0 - 0.22 * np.exp(-gap / 1.0))
    return np.where(caught, Catch.COMPLETE, np.where(picked, Catch.INTERCEPTED, Catch.INCOMPLETE)), nearest


def _stopped(scripts: Scripts, state: State, holder: Ints, frame: int) -> tuple[Flags, Ints]:
    """Whether the play would end now (n,) and how (n,), were the holder running with the ball."""
    at = state.position[0, np.arange(len(scripts)), holder]
    turned = holder >= 11
    touching = length(state.position[0] - at[:, None]) < _CONTACT
    time = (scripts.action + frame) / RATE
    busy = blocked(scripts, state, time) | _sealed(scripts, time)
    tackling = touching[:, DEFENSE] * np.where(busy, _BLOCKED_HANDS, 1.0)
    hands = np.where(turned, touching[:, OFFENSE].sum(-1), tackling.sum(-1))
    held = scripts.grip[:, min(frame, MAX_FLIGHT - 1)] > (1.0 - _HOLD) ** hands
    out = (at[:, 1] < 0.2) | (at[:, 1] > FIELD_WIDTH - 0.2) | (at[:, 0] < 0.2) | (at[:, 0] > FIELD_LENGTH - 0.2)
    scored = np.where(turned, at[:, 0] <= 10.0, at[:, 0] >= FIELD_LENGTH - 10.0)
    how = np.where(scored, Ending.TOUCHDOWN, np.where(out, Ending.OUT_OF_BOUNDS, Ending.TACKLE))
    return held | out | scored, how


def _wishes(
    scripts: Scripts,
    state: State,
    target: Ints,
    place: Floats,
    flight: Ints,
    answer: Ints,
    delay: Ints,
    holder: Ints,
    frame: int,
) -> tuple[Floats, Flags]:
    """Velocities (n, 22, 2) that everyone wishes for at a frame after the action, and who is in a hurry (n, 22)."""
    n = len(scripts)
    plays = np.arange(n)
    own = state.position[0]
    time = (scripts.action + frame) / RATE
    wish = np.zeros((n, N_PLAYERS, 2))
    wish[:, LINE] = 0.8 * protect(scripts, state, time)
    wish[:, ELIGIBLE] = routes(scripts, own[:, ELIGIBLE], state.corner, time) * (1.0 if frame < 5 else 0.6)
    wish[:, DEFENSE] = defend(scripts, state, time)

    urgent = np.zeros((n, N_PLAYERS), bool)
    in_air = flight > frame
    if in_air.any():
        left = np.maximum(flight - frame, 1) / RATE
        receiver = 6 + target
        meet = (place - own[plays, receiver]) / left[:, None]
        turned = in_air & (frame >= 0.3 * flight)
        wish[plays, receiver] = np.where(turned[:, None], meet, wish[plays, receiver])
        seen = in_air[:, None] & (frame >= delay)
        urgent[:, DEFENSE] = seen & (answer != Answer.STAY)
        answers = _reactions(scripts, state, target, place, answer, wish[:, DEFENSE])
        wish[:, DEFENSE] = np.where(seen[..., None], answers, wish[:, DEFENSE])

    held = holder >= 0
    if held.any():
        carrier = own[plays, holder]
        gone = state.velocity[0, plays, holder]
        away = carrier[:, None] - own
        top = scripts.top_speed
        chase = unit(away + _meeting(away, gone[:, None], top)[..., None] * gone[:, None]) * top[..., None]
        chase = np.where((length(away) < 4.0)[..., None], limited(gone[:, None] + 3.5 * away, top), chase)
        since = np.where(flight[:, None] > 0, frame - flight[:, None] * (answer == Answer.STAY), frame)
        chases = held[:, None] & np.concatenate(
            [(holder >= 11)[:, None] & np.ones((n, N_DEFENSE), bool), since >= delay], 1
        )
        chases[:, DEFENSE] &= (holder < 11)[:, None]
        chase[:, DEFENSE] = np.where(
            (scripts.job == Job.RUSH)[..., None], rush(scripts, state, time, carrier + 0.3 * gone), chase[:, DEFENSE]
        )
        chase[:, DEFENSE] = np.where(_sealed(scripts, time)[..., None], 0.25 * chase[:, DEFENSE], chase[:, DEFENSE])
        wish = np.where(chases[..., None], chase, wish)
        urgent |= chases
        carries = _carry(scripts, state, holder, carrier)
        wish[plays, holder] = np.where(held[:, None], carries, wish[plays, holder])
    return wish, urgent


def _reactions(
    scripts: Scripts,
    state: State,
    target: Ints,
    place: Floats,
    answer: Ints,
    unmoved: Floats,
) -> Floats:
    """Wishes (n, 11, 2) of defenders who have seen the ball in the air; those who stay keep to theirs, `unmoved`."""
    own = state.position[0, :, DEFENSE]
    top = scripts.top_speed[:, DEFENSE]
    plays = np.arange(len(scripts))
    receiver, going = state.position[0, plays, 6 + target], state.velocity[0, plays, 6 + target]
    away = place[:, None] - own
    far = np.clip(length(away) / 30.0, 0.0, 1.0)
    pace = top * (1.0 - (0.05 + 0.10 * far) * (1.0 - scripts.effort))
    attack = unit(away) * np.minimum(pace, 4.0 * length(away))[..., None]
    follow = limited(going[:, None] + 2.5 * (receiver[:, None] - own), pace)
    deep = place[:, None] + np.stack([np.full(top.shape, 5.0), 0.3 * (own - place[:, None])[..., 1]], axis=-1)
    deepen = arrive(own, deep, 0.75 * pace)
    rushing = (scripts.job == Job.RUSH)[..., None]
    chosen = np.select(
        [(answer == a)[..., None] for a in (Answer.ATTACK, Answer.FOLLOW, Answer.DEEPEN)],
        [attack, follow, deepen],
        unmoved,
    )
    return np.where(rushing, 0.5 * unit(away) * top[..., None], chosen)


def _meeting(away: Floats, going: Floats, speed: Floats) -> Floats:
    """Seconds to meet someone `away` who keeps `going`, at a given speed; at most 3."""
    a = speed**2 - (going**2).sum(-1)
    b = (away * going).sum(-1)
    root = np.sqrt(np.maximum(b**2 + a * (away**2).sum(-1), 0.0))
    return np.where(a > 0.1, np.clip((b + root) / np.maximum(a, 0.1), 0.0, 3.0), 3.0)


def _sealed(scripts: Scripts, time: Floats) -> Flags:
    """Linebackers (n, 11) whom a block keeps from a run for now."""
    box = (np.arange(N_DEFENSE) >= 4) & (np.arange(N_DEFENSE) < 7)
    held = box & (scripts.answer < 0.65) & (time[:, None] < 2.5 + scripts.delay)
    return np.asarray((scripts.kind == Kind.RUN)[:, None] & held)


def _carry(scripts: Scripts, state: State, holder: Ints, carrier: Floats) -> Floats:
    """Wishes (n, 2) of whoever has the ball: downfield, around who is near, through the gap first on a run."""
    plays = np.arange(len(scripts))
    turned = holder >= 11
    foes = np.where(turned[:, None], np.arange(N_PLAYERS) < 11, np.arange(N_PLAYERS) >= 11)
    away = carrier[:, None] - state.position[0]
    weight = np.where(foes, np.exp(-length(away) / 2.5), 0.0)
    forward = np.stack([np.where(turned, -1.0, 1.0), np.zeros(len(scripts))], axis=-1)
    dodge = (unit(away) * weight[..., None]).sum(1) * (0.4, 1.0)
    walls = np.exp(-carrier[:, 1] / 2.0) - np.exp(-(FIELD_WIDTH - carrier[:, 1]) / 2.0)
    free = unit(forward + dodge + np.stack([np.zeros(len(scripts)), 0.5 * walls], axis=-1))
    to_gap = unit(scripts.gap - carrier)
    behind_line = (scripts.kind == Kind.RUN) & (carrier[:, 0] < scripts.line - 0.5)
    speed = 0.92 * scripts.top_speed[plays, holder]
    fleeing = unit(dodge) * 2.5
    running = np.where(behind_line[:, None], to_gap, free) * speed[:, None]
    return np.where((scripts.kind == Kind.SACK)[:, None], fleeing, running)
