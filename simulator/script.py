"""Everything about a play that is left to chance, drawn before anyone moves.

A play's script comes from its own random generator, so it depends on the game's seed and the
play's number only. What follows from it (`dropback`, `flight`) is plain mechanics: throwing to
another receiver replays the same script.
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ghostback.play import FIELD_LENGTH, FIELD_WIDTH
from simulator import league
from simulator.playbook import (
    CARRIER,
    COVERAGES,
    DEFENSE,
    FORMATIONS,
    LINE,
    N_CORNERS,
    N_DEFENSE,
    N_ELIGIBLE,
    N_PLAYERS,
    ROUTE_SHARES,
    ROUTES,
    Coverage,
    Formation,
    Job,
    Kind,
    Spot,
    Tempo,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

RATE = 10
"""Frames per second."""
BEFORE_SNAP = 10
"""Frames before the snap."""
MAX_FLIGHT = 105
"""Frames after the release at which a play is whistled dead at the latest."""
MAX_FRAMES = BEFORE_SNAP + 56 + MAX_FLIGHT
"""Frames of the longest play."""


_KIND_SHARES = (0.60, 0.355, 0.045)
_TEMPO_SHARES = (0.36, 0.44, 0.20)
_HOLD = {Tempo.QUICK: (1.9, 0.25), Tempo.MEDIUM: (2.8, 0.35), Tempo.LONG: (3.7, 0.45)}
_MIDDLE = FIELD_WIDTH / 2


@dataclass(frozen=True, slots=True)
class Scripts:
    """The scripts of n plays, stacked; yards, seconds unless said otherwise.

    Attributes:
        kind: (n,) `Kind`.
        coverage: (n,) index into `COVERAGES`.
        formation: (n,) index into `FORMATIONS`.
        line: (n,) x of the line of scrimmage.
        ball_y: (n,) y of the ball before the snap.
        start: (n, 22, 2) where everyone lines up.
        top_speed: (n, 22) yards per second.
        burst: (n, 22) acceleration from standing, yards per second squared.
        vigour: (n, 22) share of it given when nothing is urgent.
        corners: (n, 5, 4, 2) corners of each receiver's route.
        route_delay: (n, 5) seconds a receiver waits, blocking, before the route.
        jammed: (n, 5) seconds a receiver is held up by press coverage.
        route_pace: (n, 5) share of top speed a route is run at.
        action: (n,) frames from snap to release, hand-off or the pocket's collapse.
        pocket: (n, 2) where the quarterback sets up.
        job: (n, 11) `Job` of each defender.
        man: (n, 11) receiver (0-4) whom a man defender covers.
        landmark: (n, 11, 2) middle of a zone.
        block: (n, 5) defender (0-10) whom each lineman blocks.
        leverage: (n, 11) yards across the field a man defender stays off his man.
        cushion: (n, 11) yards deep a man defender starts off his man.
        lag: (n, 11) frames a defender sees late, 1 to 4.
        shed: (n, 11) seconds after the snap at which a rusher beats his block.
        first_read: (n,) receiver (0-4) the quarterback looks at first.
        taste: (n, 5) what the quarterback's choice of target adds to how open a receiver is.
        aim: (n, 2) error of the throw, standard normal.
        luck: (n,) decides on the catch, uniform.
        delay: (n, 11) seconds from the release to a defender's reaction.
        answer: (n, 11) decides how a defender reacts, uniform.
        effort: (n, 11) share of top speed a defender gives.
        grip: (n, 105) decides whether contact brings the carrier down, uniform, by frame.
        call: (n,) frames from arrival to the outcome's event.
        gap: (n, 2) where a run is meant to cross the line.
    """

    kind: Ints
    coverage: Ints
    formation: Ints
    line: Floats
    ball_y: Floats
    start: Floats
    top_speed: Floats
    burst: Floats
    vigour: Floats
    corners: Floats
    route_delay: Floats
    jammed: Floats
    route_pace: Floats
    action: Ints
    pocket: Floats
    job: Ints
    man: Ints
    landmark: Floats
    block: Ints
    leverage: Floats
    cushion: Floats
    lag: Ints
    shed: Floats
    first_read: Ints
    taste: Floats
    aim: Floats
    luck: Floats
    delay: Floats
    answer: Floats
    effort: Floats
    grip: Floats
    call: Ints
    gap: Floats

    def __len__(self) -> int:
        return len(self.kind)

    def take(self, rows: Ints) -> Self:
        """The scripts of the chosen plays, repeated where asked."""
        return type(self)(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True, slots=True)
class Drawn:
    """What chance made of one play.

    Attributes:
        people: who fills the 22 slots.
        script: the fields of `Scripts` for this play.
        noise: (171, 23, 4) tag noise by frame, of the players and the ball, standard normal.
    """

    people: tuple[league.Person, ...]
    script: dict[str, object]
    noise: NDArray[np.float32]


def draw(rng: np.random.Generator, offense: str, defense: str, line: float) -> Drawn:
    """Draw one play.

    Args:
        rng: the play's own generator.
        offense: team with the ball.
        defense: the other team.
        line: x of the line of scrimmage, yards, with the offense moving toward +x.
    """
    kind = Kind(rng.choice(3, p=_KIND_SHARES))
    shares = np.array([f.share for f in FORMATIONS])
    if kind is Kind.RUN:
        shares *= np.array([f.receivers[-1][1] is Spot.BACK for f in FORMATIONS])
    formation_index = int(rng.choice(len(FORMATIONS), p=shares / shares.sum()))
    formation = FORMATIONS[formation_index]
    coverage_index = int(rng.choice(len(COVERAGES), p=[c.share for c in COVERAGES]))
    coverage = COVERAGES[coverage_index]
    tempo = Tempo.LONG if kind is Kind.SACK else Tempo(rng.choice(3, p=_TEMPO_SHARES))
    ball_y = float(rng.uniform(23.6, 29.7))
    ball = np.array([line, ball_y])

    people = _lineup(rng, offense, defense, formation)
    offense_start = _offense_start(rng, formation, ball)
    receivers = offense_start[6:]
    job, man, landmark, defense_start, leverage, cushion, jam = _defense(
        rng, coverage, formation, people, receivers, ball
    )
    block = _blocks(job, offense_start[LINE], defense_start)
    corners, wait = _routes(rng, formation, tempo, receivers, ball_y)
    mean, spread = (0.7, 0.1) if kind is Kind.RUN else _HOLD[tempo]
    hole = rng.choice([-6.5, -4.0, -1.5, 1.5, 4.0, 6.5])
    gap = ball + np.array([0.0, hole])
    if kind is Kind.RUN:
        pocket = ball - np.array([4.5, 0.0])
        beyond = gap + np.array([9.0, 0.0])
        corners[CARRIER] = (pocket + np.array([0.0, 0.8 * np.sign(hole)]), gap, beyond, beyond)
    else:
        pocket = ball + np.array([-rng.uniform(6.0, 8.0), rng.normal(0.0, 0.7)])
    action = float(np.clip(rng.normal(mean, spread), 0.5 if kind is Kind.RUN else 1.2, 5.5))
    shed = np.where(job == Job.RUSH, rng.gamma(9.0, 0.45, N_DEFENSE), 99.0)
    vigour = np.ones(N_PLAYERS)
    vigour[DEFENSE] = np.where(job >= Job.UNDER, rng.uniform(0.55, 0.85, N_DEFENSE), rng.uniform(0.8, 1.0, N_DEFENSE))
    script: dict[str, object] = {
        "kind": kind,
        "coverage": coverage_index,
        "formation": formation_index,
        "line": line,
        "ball_y": ball_y,
        "start": np.concatenate([offense_start, defense_start]),
        "top_speed": np.array([p.top_speed for p in people]) * rng.uniform(0.96, 1.0, N_PLAYERS),
        "burst": np.array([p.burst for p in people]),
        "vigour": vigour,
        "corners": corners,
        "route_delay": wait * (kind is not Kind.RUN),
        "jammed": jam,
        "route_pace": rng.uniform(0.80, 0.96, N_ELIGIBLE),
        "action": round(action * RATE),
        "pocket": pocket,
        "job": job,
        "man": man,
        "landmark": landmark,
        "block": block,
        "leverage": leverage,
        "cushion": cushion,
        "lag": rng.integers(1, 5, N_DEFENSE),
        "shed": shed,
        "first_read": rng.integers(N_ELIGIBLE),
        "taste": rng.gumbel(0.0, 0.8, N_ELIGIBLE),
        "aim": rng.normal(size=2),
        "luck": rng.uniform(),
        "delay": np.clip(0.08 + rng.gamma(2.0, 0.06, N_DEFENSE), 0.15, 0.6) + 0.4 * (rng.random(N_DEFENSE) < 0.15),
        "answer": rng.uniform(size=N_DEFENSE),
        "effort": rng.uniform(0.0, 1.0, N_DEFENSE),
        "grip": rng.uniform(size=MAX_FLIGHT),
        "call": rng.integers(1, 4),
        "gap": gap,
    }
    return Drawn(people, script, rng.standard_normal((MAX_FRAMES, N_PLAYERS + 1, 4), dtype=np.float32))


def stack(scripts: list[dict[str, object]]) -> Scripts:
    """Many plays' scripts as one."""
    return Scripts(**{f.name: np.array([s[f.name] for s in scripts]) for f in fields(Scripts)})


def _lineup(rng: np.random.Generator, offense: str, defense: str, formation: Formation) -> tuple[league.Person, ...]:
    """Starters mostly; extra backs come in for linebackers as the offense spreads out."""
    wide = sum(position == "WR" for position, *_ in formation.receivers)
    middle = ["ILB", "ILB", "OLB"]
    backs = int(np.clip(wide - 2 + (rng.random() < 0.2), 0, 2))
    middle[3 - backs :] = ["CB"] * backs
    attack = ["QB", "T", "G", "C", "G", "T", *(r[0] for r in formation.receivers)]
    guard = ["DE", "DT", "NT", "DE", *middle, "CB", "CB", "FS", "SS"]
    return (*_pick(rng, offense, attack), *_pick(rng, defense, guard))


def _pick(rng: np.random.Generator, team: str, positions: list[str]) -> list[league.Person]:
    """Distinct players for the positions; those high on the roster come first more often."""
    order: dict[str, list[league.Person]] = {}
    for position, group in league.roster(team).items():
        rank = np.arange(len(group)) + rng.gumbel(0.0, 0.0 if position == "QB" else 0.5, len(group))
        order[position] = [group[i] for i in np.argsort(rank)]
    return [order[position].pop(0) for position in positions]


def _offense_start(rng: np.random.Generator, formation: Formation, ball: Floats) -> Floats:
    """(11, 2) where the offense lines up."""
    side = rng.choice([-1.0, 1.0])
    deep = formation.receivers[-1][2] > 6.0
    quarterback = [(-1.2 if deep else -5.0, 0.0)]
    line = [(-1.6, 3.2), (-1.4, 1.6), (-0.8, 0.0), (-1.4, -1.6), (-1.6, -3.2)]
    receivers = [(-behind, side * across) for _, _, behind, across in formation.receivers]
    places = np.array(quarterback + line + receivers) + ball
    places[6:, 1] += rng.normal(0.0, 0.5, N_ELIGIBLE)
    places[:, 1] = np.clip(places[:, 1], 3.5, FIELD_WIDTH - 3.5)
    return places


def _routes(
    rng: np.random.Generator, formation: Formation, tempo: Tempo, receivers: Floats, ball_y: float
) -> tuple[Floats, Floats]:
    """Corners (5, 4, 2) of everyone's route and the seconds each waits."""
    corners = np.empty((N_ELIGIBLE, N_CORNERS, 2))
    delay = np.empty(N_ELIGIBLE)
    for i, (_, spot, _, _) in enumerate(formation.receivers):
        shares = ROUTE_SHARES[spot][tempo]
        weights = np.array(list(shares.values()), float)
        route = ROUTES[list(shares)[int(rng.choice(len(shares), p=weights / weights.sum()))]]
        outward = np.sign(receivers[i, 1] - ball_y) or 1.0
        points = np.array(route.corners) * rng.uniform(0.88, 1.12, 2) * (1.0, outward)
        if not route.settles:
            heading = points[-1] - (points[-2] if len(points) > 1 else 0.0)
            points = np.append(points, [points[-1] + 30.0 * heading / np.linalg.norm(heading)], axis=0)
        points = receivers[i] + points
        points[:, 0] = np.minimum(points[:, 0], FIELD_LENGTH - 1.5)
        points[:, 1] = np.clip(points[:, 1], 1.8, FIELD_WIDTH - 1.8)
        corners[i] = points[np.minimum(np.arange(N_CORNERS), len(points) - 1)]
        delay[i] = route.delay * rng.uniform(0.7, 1.3)
    return corners, delay


def _defense(
    rng: np.random.Generator,
    coverage: Coverage,
    formation: Formation,
    people: tuple[league.Person, ...],
    receivers: Floats,
    ball: Floats,
) -> tuple[Ints, Ints, Floats, Floats, Floats, Floats, Floats]:
    """Jobs (11,), men (11,), landmarks (11, 2), places (11, 2), leverage (11,), cushions (11,), jams (5,)."""
    job = np.full(N_DEFENSE, Job.RUSH, np.intp)
    man = np.zeros(N_DEFENSE, np.intp)
    landmark = np.tile(ball, (N_DEFENSE, 1))
    for slot, (zone_job, deep, left) in coverage.zones.items():
        job[slot - 11] = zone_job
        landmark[slot - 11] = (ball[0] + deep * rng.uniform(0.9, 1.1), _MIDDLE + left + rng.normal(0.0, 0.8))
    place = _shell(rng, coverage, ball)
    spots = np.array([spot for _, spot, _, _ in formation.receivers])
    positions = [p.position for p in people[DEFENSE]]

    free = [i for i in range(4, N_DEFENSE) if i + 11 not in coverage.zones]
    if len(free) >= N_ELIGIBLE:
        backs = np.array([positions[i] == "CB" for i in free])
        misfit = np.where(backs[:, None], (spots >= Spot.TIGHT) * 12.0, (spots == Spot.WIDE) * 20.0)
        cost = np.abs(place[free, None, 1] - receivers[None, :, 1]) + misfit
        chosen, covered = linear_sum_assignment(cost)
        for i, covers in zip(chosen.tolist(), covered.tolist(), strict=True):
            job[free[i]], man[free[i]] = Job.MAN, covers
        for i in set(range(len(free))) - set(chosen.tolist()):
            if coverage.high and rng.random() < 0.5:
                job[free[i]] = Job.UNDER
                landmark[free[i]] = (ball[0] + 9.0, _MIDDLE)
    elif rng.random() < 0.25:
        job[rng.choice([4, 5])] = Job.RUSH

    inside = np.sign(ball[1] - receivers[:, 1])
    order = np.argsort(receivers[:, 1]).tolist()
    over = {7: order[-1], 8: order[0]}
    slots = [r for r in range(N_ELIGIBLE) if spots[r] == Spot.SLOT]
    if positions[6] == "CB" and slots:
        over[6] = slots[0]
    if positions[5] == "CB" and len(slots) > 1:
        over[5] = slots[1]
    press = rng.random(N_ELIGIBLE) < 0.35
    off = np.where(press, rng.uniform(1.2, 2.0, N_ELIGIBLE), rng.uniform(4.5, 8.0, N_ELIGIBLE))
    leverage = rng.normal(0.6, 0.7, N_DEFENSE)
    cushion = np.zeros(N_DEFENSE)
    jam = np.zeros(N_ELIGIBLE)
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
    place[:, 0] = np.minimum(place[:, 0], FIELD_LENGTH - 2.0)
    landmark[:, 0] = np.minimum(landmark[:, 0], FIELD_LENGTH - 3.0)
    return job, man, landmark, place, leverage, cushion, jam


def _blocks(job: Ints, linemen: Floats, defenders: Floats) -> Ints:
    """Whom each lineman (5,) blocks: rushers first, everybody someone else, nearest overall."""
    cost = np.abs(linemen[:, None, 1] - defenders[None, :, 1]) + 0.5 * (defenders[:, 0] - linemen[:, None, 0])
    blocked: Ints = linear_sum_assignment(cost + 20.0 * (job != Job.RUSH))[1]
    return blocked


def _shell(rng: np.random.Generator, coverage: Coverage, ball: Floats) -> Floats:
    """(11, 2) where the defense lines up before anyone is sent over a receiver."""
    front = [(1.0, 5.0), (1.0, 1.2), (1.0, -1.4), (1.0, -5.0)]
    middle = [(4.5, 2.2), (4.7, -2.4), (4.2, 6.5)]
    corners = [(7.0, 17.0), (7.0, -17.0)]
    safeties = {
        0: [(7.5, 4.0), (7.0, -5.0)],
        1: [(13.5, 0.0), (7.0, -7.0)],
        2: [(12.5, 8.0), (12.5, -8.0)],
    }[coverage.high]
    place = np.array(front + middle + corners + safeties) + ball
    place[4:] += rng.normal(0.0, 0.6, (7, 2))
    place[:, 1] = np.clip(place[:, 1], 3.0, FIELD_WIDTH - 3.0)
    return place
