"""What the defense is told: who rushes, whom each man defender takes, which zone each other one has, and how."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from ghostback.play import FIELD_LENGTH, FIELD_WIDTH
from simulator.playbook import N_DEFENSE, N_ELIGIBLE, Coverage, Formation, Job, Match, Spot
from simulator.values import Floats, Ints

MIDDLE = FIELD_WIDTH / 2
BLOWN = 0.04
"""Share of plays on which one defender plays the wrong man or zone."""
PRESS = 0.35
"""Share of receivers who are pressed in man coverage."""
_ZONE_BLITZ, _MAN_BLITZ = 0.18, 0.5  # shares of plays on which whoever is free to rush does


@dataclass(frozen=True, slots=True)
class Assignments:
    """What eleven defenders are told on one play; yards, the offense moving toward +x.

    Attributes:
        job: (11,) `Job`.
        man: (11,) receiver (0-4) a man defender covers, or whom a zone defender may take over.
        match: (11,) `Match`, when a zone defender takes him over.
        landmark: (11, 2) middle of the zone.
        place: (11, 2) where he lines up.
        leverage: (11,) yards across the field a man defender stays off his man.
        cushion: (11,) yards deep a man defender starts off his man.
        jam: (5,) seconds each receiver is held up at the line.
        blown: the defender (0-10) who got it wrong, -1 for nobody.
    """

    job: Ints
    man: Ints
    match: Ints
    landmark: Floats
    place: Floats
    leverage: Floats
    cushion: Floats
    jam: Floats
    blown: int


def assign(
    rng: np.random.Generator,
    coverage: Coverage,
    formation: Formation,
    positions: list[str],
    receivers: Floats,
    ball: Floats,
) -> Assignments:
    """The assignments of a coverage against a formation.

    Args:
        rng: the play's generator.
        coverage: called.
        formation: of the offense.
        positions: of the eleven defenders.
        receivers: (5, 2) where they line up.
        ball: (2,) where it is snapped.
    """
    spots = np.array([spot for _, spot, _, _ in formation.receivers])
    place = _shell(rng, coverage, ball)
    job, landmark = _zones(rng, coverage, ball)
    man, match = _numbers(rng, coverage, receivers)
    free = [i for i in range(4, N_DEFENSE) if i + 11 not in coverage.zones]
    if len(free) >= N_ELIGIBLE:
        backs = np.array([positions[i] == "CB" for i in free])
        misfit = np.where(backs[:, None], (spots >= Spot.TIGHT) * 12.0, (spots == Spot.WIDE) * 20.0)
        cost = np.abs(place[free, None, 1] - receivers[None, :, 1]) + misfit
        chosen, covered = linear_sum_assignment(cost)
        for i, covers in zip(chosen.tolist(), covered.tolist(), strict=True):
            job[free[i]], man[free[i]] = Job.MAN, covers
        for i in set(range(len(free))) - set(chosen.tolist()):
            if coverage.high and rng.random() > _MAN_BLITZ:
                job[free[i]] = Job.UNDER
                landmark[free[i]] = (ball[0] + 9.0, MIDDLE)
    elif rng.random() < _ZONE_BLITZ:
        job[rng.choice([4, 5])] = Job.RUSH

    leverage, cushion, jam = _line_up(rng, coverage, positions, spots, receivers, ball, job, man, place)
    blown = _blow(rng, job, man, match, landmark) if rng.random() < BLOWN else -1
    place[:, 0] = np.minimum(place[:, 0], FIELD_LENGTH - 2.0)
    landmark[:, 0] = np.minimum(landmark[:, 0], FIELD_LENGTH - 3.0)
    return Assignments(job, man, match, landmark, place, leverage, cushion, jam, blown)


def _zones(rng: np.random.Generator, coverage: Coverage, ball: Floats) -> tuple[Ints, Floats]:
    """Jobs (11,) and landmarks (11, 2) of the zones; whoever has none rushes until told otherwise."""
    job = np.full(N_DEFENSE, Job.RUSH, np.intp)
    landmark = np.tile(ball, (N_DEFENSE, 1))
    for slot, (zone_job, deep, left) in coverage.zones.items():
        job[slot - 11] = zone_job
        across = MIDDLE + left + 0.3 * (ball[1] - MIDDLE)
        landmark[slot - 11] = (ball[0] + deep * rng.uniform(0.85, 1.2), across + rng.normal(0.0, 1.2))
    return job, landmark


def _numbers(rng: np.random.Generator, coverage: Coverage, receivers: Floats) -> tuple[Ints, Ints]:
    """Whom zone defenders may take over (11,), and when (11,)."""
    man, match = np.zeros(N_DEFENSE, np.intp), np.full(N_DEFENSE, Match.NEVER, np.intp)
    if rng.random() < coverage.matched:
        outermost = np.argsort(-receivers[:, 1])
        for slot, (when, side, number) in coverage.rules.items():
            order = outermost if side > 0 else outermost[::-1]
            man[slot - 11], match[slot - 11] = order[number - 1], when
    return man, match


def _line_up(
    rng: np.random.Generator,
    coverage: Coverage,
    positions: list[str],
    spots: Ints,
    receivers: Floats,
    ball: Floats,
    job: Ints,
    man: Ints,
    place: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Leverage (11,), cushions (11,) and jams (5,); moves whoever stands over a receiver there.

    With help deep in the middle a man defender plays outside of his man, without it inside.
    """
    inside = np.sign(ball[1] - receivers[:, 1])
    order = np.argsort(receivers[:, 1]).tolist()
    over = {7: order[-1], 8: order[0]}
    slots = [r for r in range(N_ELIGIBLE) if spots[r] == Spot.SLOT]
    if positions[6] == "CB" and slots:
        over[6] = slots[0]
    if positions[5] == "CB" and len(slots) > 1:
        over[5] = slots[1]
    press = rng.random(N_ELIGIBLE) < PRESS
    off = np.where(press, rng.uniform(1.2, 2.0, N_ELIGIBLE), rng.uniform(4.5, 8.5, N_ELIGIBLE))
    outside = coverage.man and coverage.high == 1
    leverage = rng.normal(-0.5 if outside else 0.8, 0.7, N_DEFENSE)
    cushion, jam = np.zeros(N_DEFENSE), np.zeros(N_ELIGIBLE)
    for i in range(4, N_DEFENSE):
        in_man = job[i] == Job.MAN
        receiver = int(man[i]) if in_man else over.get(i, -1)
        if receiver < 0 or spots[receiver] == Spot.BACK:
            continue
        depth = off[receiver] if in_man or coverage.high == 2 else max(off[receiver], 5.5)
        place[i] = (ball[0] + depth, receivers[receiver, 1] + inside[receiver] * leverage[i])
        if in_man:
            leverage[i] *= inside[receiver]
            cushion[i] = depth
            jam[receiver] = rng.uniform(0.3, 0.9) * press[receiver]
    return leverage, cushion, jam


def _blow(rng: np.random.Generator, job: Ints, man: Ints, match: Ints, landmark: Floats) -> int:
    """Let one defender get it wrong: the next man, or a zone that somebody else has."""
    blown = int(rng.choice(np.flatnonzero(job != Job.RUSH)))
    match[blown] = Match.NEVER
    if job[blown] == Job.MAN:
        man[blown] = (man[blown] + rng.integers(1, N_ELIGIBLE)) % N_ELIGIBLE
    else:
        landmark[blown, 0] -= rng.uniform(3.0, 8.0)
        landmark[blown, 1] += rng.choice([-1.0, 1.0]) * rng.uniform(6.0, 12.0)
    return blown


def _shell(rng: np.random.Generator, coverage: Coverage, ball: Floats) -> Floats:
    """(11, 2) where the defense lines up before anyone is sent over a receiver."""
    front = [(1.0, 5.0), (1.0, 1.2), (1.0, -1.4), (1.0, -5.0)]
    middle = [(4.5, 2.2), (4.7, -2.4), (4.2, 6.5)]
    corners = [(7.0, 17.0), (7.0, -17.0)]
    safeties = {
        0: [(7.5, 4.0), (7.0, -5.0)],
        1: [(12.5, 0.0), (7.0, -7.0)],
        2: [(11.5, 8.0), (11.5, -8.0)],
    }[coverage.high]
    place = np.array(front + middle + corners + safeties) + ball
    place[4:7] += rng.normal(0.0, 0.6, (3, 2))
    place[7:] += rng.normal(0.0, (1.5, 1.0), (4, 2))
    place[:, 1] = np.clip(place[:, 1], 3.0, FIELD_WIDTH - 3.0)
    return place
