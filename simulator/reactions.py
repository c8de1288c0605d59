"""What the defense does about a pass in the air: each defender in his own time, after the throw and never before."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from simulator.dropback import State, covers_man
from simulator.motion import arrive, length, limited, unit
from simulator.playbook import DEFENSE, Job, Kind
from simulator.script import Scripts
from simulator.values import RATE, Flags, Floats, Ints

_CLOSE = 20.0  # yards from the catch point within which a pass is a defender's business
_MISJUDGED = (0.3, 0.06)  # yards a landing spot is misjudged by at the throw, and more for each yard away
_TO_TURN = 0.05  # seconds that eyes on a man cost
_TO_RUN = {Job.MAN: 0.5, Job.DEEP: 0.35, Job.UNDER: 0.1, Job.RUSH: 0.1}  # seconds that a hand-off takes to be seen


class Answer(IntEnum):
    """What a defender does about a pass once he has seen it."""

    ATTACK = 0
    FOLLOW = 1
    DEEPEN = 2
    STAY = 3


@dataclass(frozen=True, slots=True)
class Reactions:
    """How the defenders of n plays answer.

    Attributes:
        answer: (n, 11) `Answer`.
        delay: (n, 11) frames from the release until they do.
        pace: (n, 11) yards per second they are willing to run.
        vigour: (n, 11) factor of their burst by how hard they go; above 1 is all out.
        error: (n, 11, 2) yards by which they misjudge the landing spot at the throw.
    """

    answer: Ints
    delay: Ints
    pace: Floats
    vigour: Floats
    error: Floats


def react(scripts: Scripts, state: State, target: Ints, place: Floats) -> Reactions:
    """How each defender will react to a pass thrown now that comes down at a place (n, 2)."""
    distance = length(state.position[0, :, DEFENSE] - place[:, None])
    near = np.exp(-((distance / _CLOSE) ** 2))
    in_man = covers_man(scripts, state)
    covers = in_man & (scripts.man == target[:, None])
    plays = np.arange(len(scripts))
    gap = length(state.position[0, :, DEFENSE] - state.position[0, plays, 6 + target][:, None])
    attack = np.where(covers, 0.55, np.where(in_man, 0.20 + 0.50 * near, 0.68 + 0.17 * near))
    follow = np.where(covers, 0.40, np.where(in_man, 0.0, 0.50 * np.exp(-((gap / 5.0) ** 2))))
    deepen = np.where(covers, 0.0, np.where(scripts.job == Job.DEEP, 0.15, 0.04))
    chances = np.cumsum(np.stack([attack, follow, deepen], axis=-1), axis=-1)
    answer = (scripts.answer[..., None] > chances).sum(-1)

    to_run = np.array([_TO_RUN[job] for job in Job])[scripts.job]
    turning = np.where(in_man & (answer != Answer.FOLLOW), _TO_TURN, 0.0)
    delay = scripts.delay + np.where((scripts.kind == Kind.RUN)[:, None], to_run, turning)
    willing = 0.5 * near**2 + 0.5 * scripts.effort
    fixed, more = _MISJUDGED
    return Reactions(
        answer,
        np.rint(RATE * delay).astype(np.intp),
        np.maximum(scripts.top_speed[:, DEFENSE] * (0.6 + 0.4 * willing), length(state.velocity[0, :, DEFENSE])),
        0.25 + 2.8 * willing**2,
        scripts.judgement * (fixed + more * distance)[..., None],
    )


def seen(reactions: Reactions, in_air: Flags, frame: int) -> Flags:
    """Who has seen the ball in the air (n, 11) at a frame after the release."""
    return np.asarray(in_air[:, None] & (frame >= reactions.delay))


def wishes(
    scripts: Scripts, state: State, target: Ints, place: Floats, left: Floats, reactions: Reactions, unmoved: Floats
) -> Floats:
    """Velocities (n, 11, 2) of defenders who have seen the ball in the air.

    Args:
        scripts: of n plays.
        state: of the plays.
        target: (n,) receiver (0-4) thrown to.
        place: (n, 2) where the ball comes down.
        left: (n,) share of the flight that is left; landing spots are misjudged less and less.
        reactions: of the defenders.
        unmoved: (n, 11, 2) what they would do without the pass; those who stay do.
    """
    own = state.position[0, :, DEFENSE]
    plays = np.arange(len(scripts))
    receiver, going = state.position[0, plays, 6 + target], state.velocity[0, plays, 6 + target]
    spot = place[:, None] + left[:, None, None] * reactions.error
    away = spot - own
    attack = unit(away) * np.minimum(reactions.pace, 4.5 * length(away))[..., None]
    follow = limited(going[:, None] + 2.0 * (receiver[:, None] - own), reactions.pace)
    deep = spot + np.stack([np.full(reactions.pace.shape, 5.0), -0.3 * away[..., 1]], axis=-1)
    deepen = arrive(own, deep, 0.9 * reactions.pace)
    chosen = np.select(
        [(reactions.answer == a)[..., None] for a in (Answer.ATTACK, Answer.FOLLOW, Answer.DEEPEN)],
        [attack, follow, deepen],
        unmoved,
    )
    return np.where((scripts.job == Job.RUSH)[..., None], 0.4 * attack, chosen)
