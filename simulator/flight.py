"""From the release, hand-off or collapse of the pocket to the whistle: the part a target decides."""

from dataclasses import dataclass

import numpy as np

from ghostback.play import FIELD_WIDTH
from simulator import outcome, reactions
from simulator.dropback import State, defend, protect, routes, rush
from simulator.motion import length, limited, unit
from simulator.outcome import Catch, Ending
from simulator.playbook import CARRIER, DEFENSE, ELIGIBLE, LINE, N_DEFENSE, N_PLAYERS, QUARTERBACK, Job, Kind
from simulator.reactions import Answer, Reactions
from simulator.script import Scripts
from simulator.throw import throws
from simulator.values import MAX_FLIGHT, RATE, Flags, Floats, Ints

AFTER_WHISTLE = 12
"""Frames recorded after the end of a play."""
_LEAPS = 3  # frames before the arrival from which on the receiver cannot adjust any more
_CHASE, _CARRY = 1.5, 0.75  # shares of their burst that tacklers and whoever has the ball give
_LOOKS_BACK = (0.0, 0.6)  # shares of the flight between which the receiver turns from his route to the ball


@dataclass(frozen=True, slots=True)
class Aftermath:
    """How n plays ended; frames count from the action.

    Attributes:
        position: (n_frames, n, 22, 2) yards, from the action; frames more than `AFTER_WHISTLE` past
            a play's end mean nothing.
        velocity: (n_frames, n, 22, 2) yards per second.
        place: (n, 2) where the pass comes down.
        flight: (n,) frames the pass is in the air, 0 without one.
        reactions: of the defenders to the pass.
        catch: (n,) `Catch`.
        catch_probability: (n,) as the ball arrives, before it is touched; NaN without a pass.
        interception_probability: (n,) likewise.
        holder: (n,) slot of the player who has the ball at the end, -1 for nobody.
        end: (n,) frame of the whistle.
        ending: (n,) `Ending`.
    """

    position: Floats
    velocity: Floats
    place: Floats
    flight: Ints
    reactions: Reactions
    catch: Ints
    catch_probability: Floats
    interception_probability: Floats
    holder: Ints
    end: Ints
    ending: Ints


def play_out(scripts: Scripts, state: State, target: Ints, until_arrival: bool = False) -> Aftermath:
    """Play from the action to the end.

    Args:
        scripts: of n plays.
        state: of the n plays at their action.
        target: (n,) receiver (0-4) thrown to; without meaning for plays that are no passes.
        until_arrival: whether to stop once every pass has come down.
    """
    n = len(scripts)
    plays = np.arange(n)
    passed = scripts.kind == Kind.PASS
    options = throws(scripts, state)
    place = options.place[plays, target]
    flight = np.where(passed, options.flight[plays, target], 0)
    throw_length = length(place - state.position[0, :, QUARTERBACK])
    reacted = reactions.react(scripts, state, target, place)

    holder = np.where(passed, -1, np.where(scripts.kind == Kind.RUN, 6 + CARRIER, QUARTERBACK))
    catch, probability, interception = np.full(n, Catch.NO_PASS, np.intp), np.full(n, np.nan), np.full(n, np.nan)
    end = np.full(n, MAX_FLIGHT - 1, np.intp)
    ending = np.where(scripts.kind == Kind.SACK, Ending.SACK, Ending.TACKLE).astype(np.intp)
    positions, velocities = [state.position[0]], [state.velocity[0]]
    for frame in range(MAX_FLIGHT + AFTER_WHISTLE - 1):
        landing = passed & (flight == frame)
        if landing.any():
            arrival = outcome.arrive(scripts, state, target, place, throw_length)
            catch = np.where(landing, arrival.catch, catch)
            probability = np.where(landing, arrival.probability, probability)
            interception = np.where(landing, arrival.interception, interception)
            caught = landing & (catch == Catch.COMPLETE)
            turned = landing & (catch == Catch.INTERCEPTED)
            incomplete = landing & ~caught & ~turned
            holder = np.where(caught, 6 + target, np.where(turned, 11 + arrival.nearest, holder))
            end = np.where(incomplete, frame + scripts.call, end)
            ending = np.where(incomplete, Ending.INCOMPLETE, ending)
        running = (holder >= 0) & (frame < end) & (frame > np.where(passed, flight + scripts.call, 0))
        stopped, how = outcome.stopped(scripts, state, holder, frame)
        stopped &= running
        end = np.where(stopped, frame, end)
        ending = np.where(stopped & (how != ending) & (how != Ending.TACKLE), how, ending)
        if (frame >= end + AFTER_WHISTLE).all() or (until_arrival and (frame >= flight).all()):
            break

        wish, vigour = _wishes(scripts, state, target, place, flight, reacted, holder, frame)
        slowing = limited(state.velocity[0], np.maximum(length(state.velocity[0]) - 0.35, 0.0))
        wish = np.where((frame >= end)[:, None, None], slowing, wish)
        state = state.moved(wish, scripts, vigour, (scripts.action + frame) / RATE)
        positions.append(state.position[0])
        velocities.append(state.velocity[0])
    motion = np.array(positions), np.array(velocities)
    return Aftermath(*motion, place, flight, reacted, catch, probability, interception, holder, end, ending)


def _wishes(
    scripts: Scripts,
    state: State,
    target: Ints,
    place: Floats,
    flight: Ints,
    reacted: Reactions,
    holder: Ints,
    frame: int,
) -> tuple[Floats, Floats]:
    """Velocities (n, 22, 2) that everyone wishes for at a frame after the action, and shares (n, 22) of the burst."""
    n = len(scripts)
    plays = np.arange(n)
    own = state.position[0]
    time = (scripts.action + frame) / RATE
    wish = np.zeros((n, N_PLAYERS, 2))
    wish[:, LINE] = 0.8 * protect(scripts, state, time)
    wish[:, ELIGIBLE] = routes(scripts, own[:, ELIGIBLE], state.corner, time) * (1.0 if frame < 10 else 0.7)
    wish[:, DEFENSE] = defend(scripts, state, time)

    vigour = scripts.vigour.copy()
    in_air = flight > frame
    if in_air.any():
        left = np.maximum(flight - frame, 1)
        receiver = 6 + target
        meet = (place - own[plays, receiver]) / left[:, None] * RATE
        meet = np.where((left <= _LEAPS)[:, None], state.velocity[0, plays, receiver], meet)
        early, late = _LOOKS_BACK
        turns = np.clip((frame / np.maximum(flight, 1) - early) / (late - early), 0.0, 1.0) * in_air
        wish[plays, receiver] += turns[:, None] * (meet - wish[plays, receiver])
        seen = reactions.seen(reacted, in_air, frame)
        share = left / np.maximum(flight, 1)
        answers = reactions.wishes(scripts, state, target, place, share, reacted, wish[:, DEFENSE])
        wish[:, DEFENSE] = np.where(seen[..., None], answers, wish[:, DEFENSE])
        vigour[:, DEFENSE] = np.where(seen & (reacted.answer != Answer.STAY), reacted.vigour, vigour[:, DEFENSE])

    held = holder >= 0
    if held.any():
        carrier = own[plays, holder]
        gone = state.velocity[0, plays, holder]
        chase = _chase(scripts, state, carrier, gone, time)
        chases = held[:, None] & _chasing(flight, reacted, holder, frame)
        wish = np.where(chases[..., None], chase, wish)
        vigour = np.where(chases, _CHASE, vigour)
        wish[plays, holder] = np.where(held[:, None], _carry(scripts, state, holder, carrier), wish[plays, holder])
        vigour[plays, holder] = np.where(held, _CARRY, vigour[plays, holder])
    return wish, vigour


def _chasing(flight: Ints, reacted: Reactions, holder: Ints, frame: int) -> Flags:
    """Who would run after the holder (n, 22): defenders once they know, everyone of the offense after a turnover."""
    since = np.where(flight[:, None] > 0, frame - flight[:, None] * (reacted.answer == Answer.STAY), frame)
    turned = (holder >= 11)[:, None]
    return np.concatenate([np.repeat(turned, N_DEFENSE, axis=1), ~turned & (since >= reacted.delay)], axis=1)


def _chase(scripts: Scripts, state: State, carrier: Floats, gone: Floats, time: Floats) -> Floats:
    """Wishes (n, 22, 2) of everyone were he after a carrier (n, 2) who runs at `gone` (n, 2): to where they meet."""
    top = scripts.top_speed
    away = carrier[:, None] - state.position[0]
    chase = unit(away + _meeting(away, gone[:, None], top)[..., None] * gone[:, None]) * top[..., None]
    chase = np.where((length(away) < 4.0)[..., None], limited(gone[:, None] + 3.5 * away, top), chase)
    rushing = (scripts.job == Job.RUSH)[..., None]
    chase[:, DEFENSE] = np.where(rushing, rush(scripts, state, time, carrier + 0.3 * gone), chase[:, DEFENSE])
    chase[:, DEFENSE] *= np.where(outcome.sealed(scripts, time), 0.25, 1.0)[..., None]
    return chase


def _meeting(away: Floats, going: Floats, speed: Floats) -> Floats:
    """Seconds to meet someone `away` who keeps `going`, at a given speed; at most 3."""
    a = speed**2 - (going**2).sum(-1)
    b = (away * going).sum(-1)
    root = np.sqrt(np.maximum(b**2 + a * (away**2).sum(-1), 0.0))
    return np.where(a > 0.1, np.clip((b + root) / np.maximum(a, 0.1), 0.0, 3.0), 3.0)


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
    speed = np.where(scripts.kind == Kind.RUN, 0.92, 0.84) * scripts.top_speed[plays, holder]
    fleeing = unit(dodge) * 2.5
    running = np.where(behind_line[:, None], to_gap, free) * speed[:, None]
    return np.where((scripts.kind == Kind.SACK)[:, None], fleeing, running)
